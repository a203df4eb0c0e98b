"""Pages to sign in and out: sign-in, sign-out, a forgotten password, one-time links.

They contain no rules, and call the same operations as ``/api/client/auth``.
"""
