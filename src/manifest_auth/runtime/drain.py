"""The way of a process out of its balancer: told to end, it goes on serving for a while."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def drain_first(seconds: int, drain: Callable[[], None]) -> None:
    """Puts ``drain`` and so many seconds before what SIGTERM does so far. Called in the main thread, in the event loop,
    once the web server has its own handler."""
    loop, end = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def told() -> None:
        loop.add_signal_handler(signal.SIGTERM, lambda: None)  # once is enough
        drain()
        if callable(end):
            loop.call_later(seconds, end, signal.SIGTERM, None)

    loop.add_signal_handler(signal.SIGTERM, told)
