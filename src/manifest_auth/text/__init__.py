"""Rules for texts: canonical forms of addresses and names, host names, base64url, invisible characters, strict JSON.

Also QR codes of texts. Pure functions. Never reads a setting, and does not know the purpose of the texts.
"""
