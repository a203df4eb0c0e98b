"""Fixtures: as those of ``tests/storage``, each store with today's schema."""

from tests.storage.conftest import pair, store

__all__ = ["pair", "store"]
