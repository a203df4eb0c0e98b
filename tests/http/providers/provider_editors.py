"""Callers who edit a client's providers: a system admin, or the client's own Admin or User Admin."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.people import member
from tests.support.saml_idp import Idp

WHO = ("system admin", "Admin", "User Admin")
SECRET = "the-client-secret-of-okta"
OIDC = {"issuer": "https://acme.okta.com", "clientId": "0oa1", "clientSecret": SECRET}
_numbers = itertools.count(1)


def saml_settings(**members: Any) -> dict[str, Any]:
    """Valid settings of a provider that no other test uses."""
    idp = Idp(issuer=f"http://www.okta.com/exkdata{next(_numbers)}")
    return {
        "entityId": idp.issuer,
        "certificates": [idp.certificate_pem],
        "redirectUrl": "https://idp.example/sso",
        **members,
    }


@dataclass
class Editor:
    """A caller who edits a client's providers through the appropriate routes."""

    app: App
    client: str
    base: str
    token: str

    async def send(self, method: str, path: str = "", body: Any = None) -> Reply:
        return await self.app.send(method, f"{self.base}{path}", body, token=self.token)

    async def create(self, name: str = "", **members: Any) -> Reply:
        return await self.send("POST", "", {"name": name or f"p{next(_numbers)}", **members})

    async def make(self, **members: Any) -> dict[str, Any]:
        made: dict[str, Any] = check_success(await self.create(**({"oidc": OIDC} | members)), 201)
        return made

    async def names(self) -> list[str]:
        return [one["name"] for one in (await self.send("GET")).data["items"]]


async def editor(app: App, who: str, client: str) -> Editor:
    """One of :data:`WHO`; the client's own users are created for it."""
    if who == "system admin":
        return Editor(app, client, f"/api/admin/clients/{client}/providers", await app.admin_token())
    return Editor(app, client, "/api/client/providers", (await member(app, client, who)).token)
