"""Clients and users for one test, the audit trail, and the Argon2 hashes computed during a block."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple, Self
from unittest import mock

from sqlalchemy import select

from manifest_auth import tenants
from manifest_auth.runtime.hashing import imported_hashes
from manifest_auth.runtime.hashing.hasher import HashPool
from manifest_auth.store import TenantStore, tenant_scoped
from manifest_auth.store.tables import audit_events
from tests.support.application import App, Reply

_numbers = itertools.count(1)
_A = audit_events.c


class Recorded(NamedTuple):
    """One event of the audit trail."""

    event: str
    actor: str
    subject: str
    address: str
    detail: str

    @property
    def members(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.detail)
        return found


TRAIL = tenant_scoped(select(*(_A[name] for name in Recorded._fields)).order_by(_A.sequence), Recorded)


async def trail(app: App, client: str) -> list[Recorded]:
    """All audit events of a client, oldest first."""
    return await (await store_of(app, client)).read(lambda unit: unit.all(TRAIL))


async def store_of(app: App, client: str) -> TenantStore:
    """The store, bound to a client."""
    tenant = await app.services.store.read(lambda unit: tenants.find(unit, client))
    assert tenant is not None
    return app.services.store.of(tenant.id)


async def new_client(app: App, **settings: Any) -> str:
    """A client for one test; returns its identifier."""
    identifier = f"client-{next(_numbers)}"
    body = {"identifier": identifier, "name": identifier, "settings": settings}
    (await app.post("/api/admin/clients", body, token=await app.admin_token())).data  # noqa: B018 - checks success
    return identifier


async def number_of(app: App, client: str) -> int:
    """The number of a client."""
    return int((await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())).data["id"])


async def settle(app: App, client: str, **settings: Any) -> None:
    """Replace the settings of a client."""
    path = f"/api/admin/clients/{client}"
    assert (await app.send("PATCH", path, {"settings": settings}, token=await app.admin_token())).status == 200


async def new_user(app: App, client: str = "acme", email: str = "", **members: Any) -> tuple[int, str]:
    """A user for one test; returns id and email. ``members`` are request fields: ``password``, ``passwordHash``, …"""
    email = email or f"person-{next(_numbers)}@{client}.example"
    body = {"email": email, "roles": ["Viewer"], **members}
    created = await app.post(f"/api/admin/clients/{client}/users", body, token=await app.admin_token())
    return int(created.data["id"]), email


async def act_on(app: App, path: str) -> None:
    """A system admin's POST without a body: suspend, restore, deactivate."""
    assert (await app.post(f"/api/admin/clients/{path}", token=await app.admin_token())).status == 200


@contextlib.contextmanager
def hashes_counted() -> Iterator[list[dict[str, Any]]]:
    """Collect the parameters of every Argon2 hash computed inside the block."""
    calls: list[dict[str, Any]] = []
    original = HashPool.tag

    async def tag(self: HashPool, password: bytes, salt: bytes, **parameters: Any) -> bytes:
        calls.append(parameters)
        return await original(self, password, salt, **parameters)

    with mock.patch.object(HashPool, "tag", tag):
        yield calls


@contextlib.contextmanager
def imported_hashes_tried() -> Iterator[list[str]]:
    """Collect the imported hashes that a password is compared with inside the block."""
    seen: list[str] = []
    original = imported_hashes.verify

    def verify(stored: str, password: bytes) -> bool:
        seen.append(stored)
        return original(stored, password)

    with mock.patch.object(imported_hashes, "verify", verify):
        yield seen


class Keys(NamedTuple):
    """The three keys of one session."""

    token: str
    refresh_token: str
    cookie: str

    @classmethod
    def of(cls, reply: Reply) -> Self:
        """Read the keys from a response."""
        return cls(reply.data["token"], reply.data["refreshToken"], reply.cookie("session"))


async def keys_of(app: App, email: str = "author@acme.example", **options: Any) -> Keys:
    """The keys of a new session."""
    return Keys.of(await app.sign_in(email, **options))


async def token_of(app: App, email: str = "operator@acme.example") -> str:
    """An access token of a user of one of the two initial clients."""
    return str((await app.sign_in(email, client=email.partition("@")[2].partition(".")[0])).data["token"])


async def child_of(app: App, token: str) -> str:
    """The refresh token that this one is exchanged for."""
    return str((await app.refresh(token)).data["refreshToken"])


async def opened_by(app: App, keys: Keys) -> list[str]:
    """The keys that still open something; none once the session has ended."""
    found = []
    if (await app.me(keys.token)).status == 200:
        found.append("token")
    if (await app.me(cookie=keys.cookie)).status == 200:
        found.append("cookie")
    if (await app.refresh(keys.refresh_token)).status == 200:
        found.append("refresh token")
    return found
