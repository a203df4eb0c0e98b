"""Rules for texts, and the languages of pages and emails with the catalogs of their words.

The rules: canonical forms of addresses and names, host names, base64url, invisible characters, strict JSON. Pure
functions. QR codes of texts too. Never reads a setting, and does not know the purpose of the texts.
"""
