"""The different ways in which two nodes can connect to one PostgreSQL database."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.processes.haproxy_postgres import InFrontOfOne
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import database_of


class Way(NamedTuple):
    """The database address for each node, and their settings."""

    addresses: tuple[str, str]
    settings: dict[str, Any]


def same(address: str, **settings: str) -> Way:
    """One address for both nodes."""
    return Way((address, address), settings)


@contextlib.contextmanager
def _direct(address: str) -> Iterator[Way]:
    yield same(address)


@contextlib.contextmanager
def _without_wake_ups(address: str) -> Iterator[Way]:
    yield same(address, MANIFEST_DATABASE_WAKE="off")


@contextlib.contextmanager
def _pooled(address: str, *, is_direct_too: bool = False) -> Iterator[Way]:
    pooler = PgBouncer(address)
    direct = {"MANIFEST_DATABASE_DIRECT_URL": address} if is_direct_too else {}
    yield same(pooler.address(database_of(address)), **direct)
    pooler.stop()


@contextlib.contextmanager
def _through_haproxy(address: str) -> Iterator[Way]:
    proxy = InFrontOfOne(address)
    yield same(proxy.address(database_of(address)))
    proxy.stop()


#: Functions by name that take the server's own address of the database.
WAYS: dict[str, Callable[[str], AbstractContextManager[Way]]] = {
    "direct": _direct,
    "without-wake-ups": _without_wake_ups,
    "pgbouncer": _pooled,
    "pgbouncer-and-direct": partial(_pooled, is_direct_too=True),
    "haproxy": _through_haproxy,
}
#: As parameters of a fixture: `./dev test` uses the direct connection.
PARAMETERS = [pytest.param(name, marks=() if name == "direct" else pytest.mark.endurance) for name in WAYS]
#: The ways in which the heartbeat has its own connection; with others, everything would hang with it.
WITH_OWN_BEATS = [each for each in PARAMETERS if each.values != ("pgbouncer",)]
