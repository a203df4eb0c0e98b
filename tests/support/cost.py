"""Compares costs by executed instructions, or with another operation of the same moment; never in seconds."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

LEAST_ROUNDS = 3  # so that no single slow turn of the reference makes the act look cheap
Act = Callable[[], Awaitable[object]]


async def times_as_dear(act: Act, reference: Act, *, under: float, rounds: int = 40) -> float:
    """The processor time of ``act`` in all threads, in times of ``reference``. They take turns, and each turn is
    compared with its neighbor, as a processor's speed can change within a second; the median of these counts. Ends as
    soon as the answer is below ``under``, after ``rounds`` at most. What the two prepare before they give something to
    await does not count."""
    times: list[float] = []
    while len(times) < rounds:
        times.append(await _seconds(act) / await _seconds(reference))
        if len(times) >= LEAST_ROUNDS and statistics.median(times) < under:
            break
    return statistics.median(times)


async def instructions(act: Act) -> int:
    """The instructions of Python that ``act`` executes, the same number on every machine: the least of a few times, as
    jobs of the application can run beside one. What is done in C counts as the call of it."""
    return min([await _instructions(act) for _ in range(LEAST_ROUNDS)])


async def _instructions(act: Act) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        await act()
    finally:
        sys.settrace(before)
    return count


async def _seconds(act: Act) -> float:
    prepared = act()
    began = time.process_time()
    await prepared
    return time.process_time() - began
