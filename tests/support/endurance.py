"""Counts what hundreds of sign-ins in a row leave: rows of the store, and memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func, select

from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import identities, seen_assertions, sign_in_codes, sign_in_flows, users
from tests.support.application import App

KIB, MIB = 1024, 1024 * 1024
HOUR = 3600


class Count(NamedTuple):
    rows: int


def _counting(table: Any) -> Any:
    return cross_tenant(
        select(func.count()).select_from(table), Count, because="a test counts what is left of all tenants"
    )


_FLEETING = {table.name: _counting(table) for table in (sign_in_flows, sign_in_codes, seen_assertions)}
_LASTING = {table.name: _counting(table) for table in (users, identities)}


async def rows(app: App, *, lasting: bool = False) -> dict[str, int]:
    """How much is under way or remembered; ``lasting``: how many people are known."""
    counts = _LASTING if lasting else _FLEETING
    found = await app.services.store.read(lambda unit: {name: unit.first(one) for name, one in counts.items()})
    return {name: count.rows for name, count in found.items() if count is not None}


def resident() -> int:
    """Bytes of memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def check_memory(warm: Callable[[], Awaitable[None]], work: Callable[[], Awaitable[None]]) -> None:
    """``work`` leaves no memory behind; ``warm``: what is remembered in bounded places is there after it."""
    tracemalloc.start()
    try:
        await warm()
        gc.collect()
        traced, used = tracemalloc.get_traced_memory()[0], resident()
        await work()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - traced < 400 * KIB
        assert resident() - used < 12 * MIB
    finally:
        tracemalloc.stop()
