"""Fixtures: the application with a stand-in for Microsoft."""

from tests.interop.microsoft.fixtures import setup, shared_setup

__all__ = ["setup", "shared_setup"]
