"""Helpers for tests: both databases, the real application with its real pipeline, and real server processes."""
