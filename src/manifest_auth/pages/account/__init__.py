"""A user's own pages under ``/account``.

Owns nothing: the pages call the same operations as ``/api/client/auth``.
"""
