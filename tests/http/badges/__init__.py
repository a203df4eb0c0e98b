"""Enrolled devices, badges, and PINs."""
