"""Compares costs: one operation as a multiple of another at the same moment, never in seconds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

LEAST_ROUNDS = 3  # so that no single slow turn of the reference makes the act look cheap
Act = Callable[[], Awaitable[object]]


async def times_as_dear(act: Act, reference: Act, *, under: float, rounds: int = 40) -> float:
    """The processor time of ``act`` in all threads, in times of ``reference``. They take turns, and the least of each
    counts: what else happens only adds. Ends as soon as the answer is below ``under``, after ``rounds`` at most. What
    the two prepare before they give something to await does not count."""
    least = times = float("inf")
    least_reference = float("inf")
    for done in range(1, rounds + 1):
        least_reference = min(least_reference, await _seconds(reference))
        least = min(least, await _seconds(act))
        times = least / least_reference
        if done >= LEAST_ROUNDS and times < under:
            break
    return times


async def _seconds(act: Act) -> float:
    prepared = act()
    began = time.process_time()
    await prepared
    return time.process_time() - began
