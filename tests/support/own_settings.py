"""A client whose own Admin and User Admin change its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.accounts import new_client
from tests.support.application import App, Reply
from tests.support.people import Member, member

SETTINGS = "/api/client/settings"


@dataclass
class OwnClient:
    """``client_admin`` is its Admin, ``clerk`` its User Admin."""

    app: App
    identifier: str
    client_admin: Member
    clerk: Member

    async def shown(self, by: Member | None = None) -> dict[str, Any]:
        """The settings as they are."""
        found: dict[str, Any] = (await self.app.get(SETTINGS, token=(by or self.client_admin).token)).data
        return found

    async def change(self, by: Member, **members: Any) -> Reply:
        return await self.app.send("PATCH", SETTINGS, members, token=by.token)

    async def changed(self, by: Member, **members: Any) -> dict[str, Any]:
        """The settings after a change that succeeds."""
        data: dict[str, Any] = (await self.change(by, **members)).data
        return data


async def own_client(app: App, **settings: Any) -> OwnClient:
    """A client that no other test knows, with a provider that reaches Admins."""
    client = await new_client(app, **settings)
    provider = {"name": "of-admins", "oidc": {"issuer": "https://op.example", "clientId": "x"}}
    path = f"/api/admin/clients/{client}/providers"
    assert (await app.post(path, provider, token=await app.admin_token())).status == 201
    client_admin, clerk = await member(app, client, "Admin"), await member(app, client, "User Admin")
    return OwnClient(app, client, client_admin, clerk)
