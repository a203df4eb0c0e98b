"""Rules for texts: canonical forms of addresses and names, host names, base64url, characters that cannot be seen.

Pure functions. Never reads a setting, and knows nothing of what the texts are for.
"""
