"""Connections through which identity providers manage a client's users (SCIM 2.0), and their tokens.

Owns ``scim_connections`` and ``scim_tokens``. Never reads a SCIM message.
"""
