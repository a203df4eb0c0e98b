"""Waits for what another node hears of a moment later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def soon(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Asks again and again until the answer is ``expected``; fails with the last one. Ten seconds only end a test that
    hangs: how soon it must be is proved where real processes run."""
    deadline = time.monotonic() + 10
    while (found := await ask()) != expected and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert found == expected
