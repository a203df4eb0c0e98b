"""Tests of the Python library, by the wheel that is built and installed into an empty environment."""
