"""A license vendor's key pair and the licenses that it issues, and installations that need a license."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from manifest_auth.licence.licence import Licence, Seats, generate, private_key, sign
from tests.support.application import App, running

LICENCE = "/api/admin/license-on-prem"
DAY = 86_400
(PRIVATE, PUBLIC), (_, OTHER_PUBLIC) = generate(), generate()
_KEY = private_key(PRIVATE)


def key(app: App, by: Ed25519PrivateKey = _KEY, full: int = 5, operate: int = 10, connect: int = 2, **more: Any) -> str:
    """A license key, issued yesterday and valid for a hundred days; ``more`` replaces other members."""
    now = app.clock.now_ms() // 1000
    whole = Licence("L-1", "Initech", now - DAY, now + 100 * DAY, Seats(full, operate, connect), ("sso",))
    return sign(msgspec.structs.replace(whole, **more), by)


@contextlib.asynccontextmanager
async def on_premise(url: str, public: str = PUBLIC) -> AsyncIterator[App]:
    """An installation that needs a license from this vendor."""
    async with running(url, MANIFEST_DEPLOYMENT="on-premise", MANIFEST_LICENSE_PUBLIC_KEY=public) as app:
        yield app


async def note_time(app: App) -> None:
    """Record the current time in the database, as the server regularly does."""
    await app.services.licence.record_time()
