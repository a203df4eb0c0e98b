"""Calls to identity providers go out through here alone."""
