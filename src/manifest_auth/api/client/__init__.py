"""REST for users, under ``/api/client``: sign-in and sign-out, the caller's account, files, the client's audit trail.

Owns the routes and wire models of the client plane. Never serves a system admin, and never acts on a client other than
the caller's own.
"""
