"""Tests of the Python library, with the wheel that is built and installed into an empty environment."""
