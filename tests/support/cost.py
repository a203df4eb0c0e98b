"""Compares costs by executed instructions, or with another operation at the same time, but never in seconds."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

LEAST_ROUNDS = 3  # so that one slow round of the reference doesn't make the act look cheap
Act = Callable[[], Awaitable[object]]


async def times_as_dear(act: Act, reference: Act, *, under: float, rounds: int = 40) -> float:
    """The processor time of ``act`` in all threads, as a multiple of ``reference``. They alternate, and each round is
    compared with its neighbor, because a processor's speed can change within a second. Returns the median as soon as
    it's below ``under``, or after ``rounds``. Time that either spends before it returns an awaitable isn't measured."""
    times: list[float] = []
    while len(times) < rounds:
        times.append(await _seconds(act) / await _seconds(reference))
        if len(times) >= LEAST_ROUNDS and statistics.median(times) < under:
            break
    return statistics.median(times)


async def instructions(act: Act) -> int:
    """The Python instructions that ``act`` executes, the same number on every machine. Returns the lowest of a few
    runs, because jobs of the application can run at the same time. C code counts only as the call."""
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
