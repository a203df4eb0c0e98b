"""Fixtures: the application with a stand-in for Microsoft."""

from tests.interop.microsoft.fixtures import shared_world, world

__all__ = ["shared_world", "world"]
