"""Connections through which identity providers manage users."""
