"""Pages to sign in and out: sign-in, sign-out, a forgotten password, one-time links.

Owns no rule: the pages call the same operations as ``/api/client/auth``.
"""
