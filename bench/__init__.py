"""Measures the server against the limits of this machine, in the same run. See README.md. Not part of the package."""
