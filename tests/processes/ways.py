"""The ways in which two nodes reach one PostgreSQL database."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple


class Way(NamedTuple):
    """The address of the store for each node, and their settings."""

    addresses: tuple[str, str]
    settings: dict[str, Any]


def same(address: str, **settings: str) -> Way:
    """One address for both."""
    return Way((address, address), settings)


@contextlib.contextmanager
def _direct(address: str) -> Iterator[Way]:
    yield same(address)


@contextlib.contextmanager
def _without_wake_ups(address: str) -> Iterator[Way]:
    yield same(address, MANIFEST_DATABASE_WAKE="off")


#: By name; each gets the server's own address of the database.
WAYS: dict[str, Callable[[str], AbstractContextManager[Way]]] = {
    "direct": _direct,
    "without-wake-ups": _without_wake_ups,
}
