"""Helpers for tests: both stores, the real application with its real pipeline, real server processes."""
