"""Opens the file of a SQLite store outside of a server's own store."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from manifest_auth.store.store import StoreUnavailable


@contextlib.contextmanager
def opened(address: str) -> Iterator[sqlite3.Connection]:
    """A connection to the file of this URI. Raises :class:`StoreUnavailable`, also for what fails within the block."""
    try:
        raw = sqlite3.connect(address, uri=True, isolation_level=None)
        try:
            yield raw
        finally:
            raw.close()
    except (sqlite3.Error, ValueError) as error:  # ValueError: there is no schema version
        path = address.removeprefix("file://").partition("?")[0]
        raise StoreUnavailable(f"{path}: {error}") from error
