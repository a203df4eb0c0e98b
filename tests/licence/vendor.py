"""The license vendor, which creates keys for the tests, both genuine and forged."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from manifest_auth.licence import Licence, Seats, sign
from tests.support.application import App, Reply, running

PATH = "/api/admin/license-on-prem"
DAY = 86_400
VENDOR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_VENDOR = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = base64.b64encode(VENDOR.public_key().public_bytes_raw()).decode()


def licence(now_s: int, **changes: Any) -> Licence:
    """A license that is valid for a year from now."""
    made = Licence(
        id="L-1",
        customer="Initech Ltd",
        issued_at=now_s,
        expires_at=now_s + 365 * DAY,
        seats=Seats(full=10, operate=5),
        features=("sso",),
    )
    return msgspec.structs.replace(made, **changes)


def key(app: App, private: Ed25519PrivateKey = VENDOR, **changes: Any) -> str:
    """The text of a signed key, issued at the time of the test's clock."""
    return sign(licence(app.clock.ms // 1000, **changes), private)


async def install(app: App, text: str) -> Reply:
    return await app.post(PATH, {"licenseKey": text}, token=await app.admin_token())


async def state(app: App) -> str:
    return str((await app.get(PATH, token=await app.admin_token())).data["state"])


@contextlib.asynccontextmanager
async def on_premise(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_DEPLOYMENT="on-premise", MANIFEST_LICENSE_PUBLIC_KEY=PUBLIC) as app:
        yield app
