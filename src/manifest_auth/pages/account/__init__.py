"""A user's own pages under ``/account``.

Owns nothing: they call what ``/api/client/auth`` calls.
"""
