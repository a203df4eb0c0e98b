"""Loads the library ``webauthn`` once, in a thread: its import takes too long for the event loop."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module

_NAME = "webauthn"


async def load() -> None:
    """To be awaited before the first verification of a request."""
    if _NAME not in sys.modules:
        await asyncio.to_thread(import_module, _NAME)
