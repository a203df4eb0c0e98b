"""Rules for texts, and the languages of pages and emails with the catalogs of their messages.

The rules cover canonical forms of addresses and names, host names, base64url, invisible characters, strict JSON, and
also QR codes. All are pure functions. This package never reads a setting, and does not know the purpose of the texts.
"""
