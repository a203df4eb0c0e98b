"""Counts the database rows and memory that hundreds of consecutive sign-ins leave behind."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.support.application import App
from tests.support.rows import rows

KIB, MIB = 1024, 1024 * 1024
HOUR = 3600


_FLEETING = ("sign_in_flows", "sign_in_codes", "seen_assertions")
_LASTING = ("users", "identities")


async def counted(app: App, *, lasting: bool = False) -> dict[str, int]:
    """The amount in progress or in memory; ``lasting`` is the number of known people."""
    return {table: len(await rows(app, table)) for table in (_LASTING if lasting else _FLEETING)}


def resident() -> int:
    """The resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def check_memory(warm: Callable[[], Awaitable[None]], work: Callable[[], Awaitable[None]]) -> None:
    """Check that ``work`` leaves no memory behind, after ``warm`` has filled the caches of limited size."""
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
