"""A client with an approved claim on a Microsoft directory, for tests about other features."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.support.accounts import new_client, trail
from tests.support.application import App, Reply
from tests.support.people import member

_numbers: Iterator[int] = count(1)
REASON = "known to the tests as this client's own"


async def directory_counts(app: App, client: str, directory: str) -> None:
    """Approve the client's claim on a Microsoft directory as a system admin, in addition to any other holder."""
    token, body = await app.admin_token(), {"reason": REASON}
    path = f"/api/admin/clients/{client}/directories/{directory}/vouch"
    reply = await app.post(path, body, token=token)
    if reply.status == 409:
        path = f"/api/admin/directories/{directory}/clients/{client}"
        reply = await app.send("PUT", path, body, token=token)
    assert reply.status == 200, reply.text


async def directory_released(app: App, client: str, directory: str) -> None:
    """Release the client's claim on the directory."""
    path = f"/api/admin/clients/{client}/directories/{directory}"
    await app.send("DELETE", path, token=await app.admin_token())


async def directories_released(app: App, client: str) -> None:
    """Release all of the client's directory claims."""
    path = f"/api/admin/clients/{client}/directories?first=100"
    for claim in (await app.get(path, token=await app.admin_token())).data["items"]:
        await directory_released(app, client, claim["directory"])


async def pin(app: App, name: str, client: str) -> None:
    """As a system admin, make a provider's name mean this client when a request names no client."""
    path = f"/api/admin/provider-names/{name}"
    reply = await app.send("PUT", path, {"client": client}, token=await app.admin_token())
    assert reply.status == 200, reply.text


def directory() -> str:
    """A directory that no other test claims."""
    return f"d0d0d0d0-0000-4000-8000-{next(_numbers):012d}"


class Claimant:
    """A client, its Admin, and the system admin who manages its claims."""

    def __init__(self, app: App, name: str, token: str, root: str) -> None:
        self.app, self.name, self.token, self.root = app, name, token, root

    async def own(self, method: str, path: str = "", body: Any = None) -> Reply:
        """A request by the Admin."""
        return await self.app.send(method, f"/api/client/directories{path}", body, token=self.token)

    async def admin(self, method: str, path: str = "", body: Any = None) -> Reply:
        """A request by the system admin about the client."""
        return await self.app.send(method, f"/api/admin/clients/{self.name}/directories{path}", body, token=self.root)

    async def vouch(self, which: str) -> Reply:
        return await self.admin("POST", f"/{which}/vouch", {"reason": REASON})

    async def grant(self, which: str, method: str = "PUT") -> Reply:
        body = {"reason": REASON} if method == "PUT" else None
        return await self.app.send(method, f"/api/admin/directories/{which}/clients/{self.name}", body, token=self.root)

    async def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        found = await trail(self.app, self.name)
        return [(e.event, e.subject, e.members) for e in found if e.event.startswith("directory_")]


async def client_of(app: App) -> Claimant:
    name = await new_client(app)
    admin = await member(app, name, "Admin")
    return Claimant(app, name, admin.token, await app.admin_token())
