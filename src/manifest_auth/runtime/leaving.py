"""The way of a process out of its balancer: told to end, it goes on serving for a while and says that it leaves."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType


class Leaving:
    """``draining``: the process was told to end, and still serves."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self.draining = False

    def listen(self) -> None:
        """Puts the drain before what SIGTERM does so far. Called in the main thread, in the running event loop, once
        the web server has its own handler."""
        if not self._seconds:
            return
        loop, end = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

        def told(number: int, frame: FrameType | None) -> None:
            if self.draining or not callable(end):
                return
            self.draining = True
            # `call_later` may be used from the loop alone, and a signal comes at any moment.
            loop.call_soon_threadsafe(loop.call_later, self._seconds, end, number, None)

        signal.signal(signal.SIGTERM, told)
