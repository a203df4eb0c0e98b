"""REST for users, under ``/api/client``: ways in and out, one's own account, files, the client's audit trail.

Owns the routes and wire models of the client plane. Never serves a system admin, and never acts on another client than
the caller's.
"""
