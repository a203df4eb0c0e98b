"""Measures the server beside this machine's limits, in the same run. See README.md. Not part of the package."""
