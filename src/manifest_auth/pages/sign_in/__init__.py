"""Pages to sign in and out: sign-in, sign-out, a forgotten password, one-time links.

Owns no rule: they call what ``/api/client/auth`` calls.
"""
