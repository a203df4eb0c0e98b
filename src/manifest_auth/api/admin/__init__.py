"""REST for system admins, under ``/api/admin``: management of clients, users, providers and the installation.

Owns the routes and wire models of the admin plane. Never serves a user or reads a cookie.
"""
