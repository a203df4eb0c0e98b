"""Unmodified third-party libraries and products sign users in through a client's issuer."""
