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
    """Check that ``work`` leaves no memory behind each time, after ``warm`` has filled the caches of limited size.

    What exists once, as one more connection to the database or a module's code, grows in one batch of work only.
    """
    tracemalloc.start()
    try:
        await warm()
        grown = [await _grown(work)]
        while len(grown) < 4 and _too_much(grown[-1]):
            grown.append(await _grown(work))
        assert not _too_much(grown[-1]), grown
    finally:
        tracemalloc.stop()


async def _grown(work: Callable[[], Awaitable[None]]) -> tuple[int, int]:
    """By how many bytes ``work`` makes Python's objects and the process larger."""
    gc.collect()
    traced, used = tracemalloc.get_traced_memory()[0], resident()
    await work()
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - traced, resident() - used


def _too_much(grown: tuple[int, int]) -> bool:
    return grown[0] >= 400 * KIB or grown[1] >= 12 * MIB
