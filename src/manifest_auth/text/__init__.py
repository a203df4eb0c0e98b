"""Rules for texts, and the languages of pages and e-mails with the catalogues of their words.

The rules: canonical forms of addresses and names, host names, base64url, invisible characters, strict JSON. QR
codes. Pure functions. Never reads a setting, and does not know the purpose of the texts.
"""
