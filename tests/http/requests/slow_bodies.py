"""Requests that send their body in parts: the first part arrives, and the rest waits for a test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.support import in_process
from tests.support.application import App


class SlowBody:
    """A request in progress."""

    def __init__(
        self, app: App, path: str, lines: list[tuple[str, str]], first: bytes, rest: bytes, method: str = "POST"
    ) -> None:
        scope = in_process.scope_of(app.public_url, ("192.0.2.1", 40000), method, path, lines, None)
        self._parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._parts.put_nowait({"type": "http.request", "body": first, "more_body": True})
        self._rest = {"type": "http.request", "body": rest, "more_body": False}
        self._has_begun = asyncio.Event()
        self._status = 0
        self._running = asyncio.create_task(app.application(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._parts.empty():
            self._has_begun.set()
        return await self._parts.get()

    async def _send(self, message: dict[str, Any]) -> None:
        self._status = message.get("status", self._status)

    async def begun(self) -> int:
        """Wait until the rest is requested, and return 0; if the request is rejected before that, return the status."""
        waits = asyncio.create_task(self._has_begun.wait())
        await asyncio.wait([waits, self._running], return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        return self._status

    async def goes_on(self) -> int:
        """Send the rest; returns the status of the response."""
        return await self._ends(self._rest)

    async def breaks_off(self) -> int:
        """Hang up without sending the rest; returns the status."""
        return await self._ends({"type": "http.disconnect"})

    async def _ends(self, message: dict[str, Any]) -> int:
        self._parts.put_nowait(message)
        await self._running
        return self._status


@contextlib.asynccontextmanager
async def on_its_way(
    app: App, path: str, lines: list[tuple[str, str]], first: bytes, rest: bytes
) -> AsyncIterator[SlowBody]:
    """A request with an already received first part; it's aborted at the end unless it gets a response."""
    slow = SlowBody(app, path, lines, first, rest)
    assert await slow.begun() == 0
    yield slow
    await slow.breaks_off()
