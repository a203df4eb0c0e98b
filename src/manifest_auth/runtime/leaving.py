"""The way of a process out of its balancer: told to end, it goes on serving for a while."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType


def drain_first(seconds: int, drain: Callable[[], None]) -> None:
    """Puts ``drain`` and so many seconds before what SIGTERM does so far. Called in the main thread, in the event loop,
    once the web server has its own handler."""
    loop, end = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    is_told = False

    def told(number: int, _frame: FrameType | None) -> None:
        nonlocal is_told
        if not is_told and callable(end):
            is_told = True
            drain()
            # `call_later` may be used from the loop alone, and a signal comes at any moment.
            loop.call_soon_threadsafe(loop.call_later, seconds, end, number, None)

    signal.signal(signal.SIGTERM, told)
