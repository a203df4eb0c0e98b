"""A SCIM connection of a client, as an identity provider uses it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.support.accounts import new_client
from tests.support.application import App, Reply
from tests.support.people import Member, member

USER, GROUP = (f"urn:ietf:params:scim:schemas:core:2.0:{name}" for name in ("User", "Group"))
PATCH_OP, BULK = (f"urn:ietf:params:scim:api:messages:2.0:{name}" for name in ("PatchOp", "BulkRequest"))


def shown(reply: Reply, status: int = 200) -> dict[str, Any]:
    """The body of a response with this status."""
    assert reply.status == status, reply.text
    found: dict[str, Any] = json.loads(reply.text)
    return found


def failed(reply: Reply) -> tuple[int, str | None]:
    """The status and the ``scimType`` of an error in the format of RFC 7644, section 3.12."""
    body = json.loads(reply.text)
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"], body
    assert (body["status"], reply.media_type) == (str(reply.status), "application/scim+json")
    assert reply.headers["x-request-id"]
    return reply.status, body.get("scimType")


@dataclass
class Connection:
    """A connection. ``client`` is the client's identifier, ``admin`` created it, and ``base`` is its path."""

    app: App
    client: str
    admin: Member
    name: str
    id: int
    base: str
    token: str

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """Send a request. Its body is of SCIM's media type."""
        headers = {"Content-Type": "application/scim+json", **options.pop("headers", {})}
        return await self.app.send(method, self.base + path, body, token=self.token, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> dict[str, Any]:
        return shown(await self.send("GET", path, **options))

    async def found(self, kind: str, wanted: str, more: str = "") -> dict[str, Any]:
        """Search with a filter."""
        return await self.get(f"/{kind}?filter={quote(wanted)}{more}")

    async def post_user(self, user_name: str, **members: Any) -> Reply:
        return await self.send("POST", "/Users", {"schemas": [USER], "userName": user_name, **members})

    async def user(self, user_name: str, **members: Any) -> str:
        """Create a user with this userName. Returns the ID."""
        return str(shown(await self.post_user(user_name, **members), 201)["id"])

    async def group(self, display_name: str, *members: str, **more: Any) -> str:
        """Create a group with these members. Returns the ID."""
        body = {"schemas": [GROUP], "displayName": display_name, "members": [{"value": one} for one in members], **more}
        return str(shown(await self.send("POST", "/Groups", body), 201)["id"])

    async def patch(self, path: str, *operations: dict[str, Any], **options: Any) -> Reply:
        return await self.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}, **options)

    async def set_up(self, **settings: Any) -> None:
        """Change the connection."""
        reply = await self.app.send("PATCH", f"/api/client/scim/{self.name}", settings, token=self.admin.token)
        assert reply.status == 200, reply.text

    async def roles(self, user_id: str) -> set[str]:
        """The roles of a user."""
        path = f"/api/admin/clients/{self.client}/users/{user_id}"
        return set((await self.app.get(path, token=await self.app.admin_token())).data["roles"])


async def connect(
    app: App, name: str = "okta", client: str = "", admin: Member | None = None, **settings: Any
) -> Connection:
    """Create a connection of a client, or of a new one, by an Admin. Its default role is Viewer."""
    client = client or await new_client(app)
    admin = admin or await member(app, client, "Admin")
    made = (await app.post("/api/client/scim", {"name": name, **settings}, token=admin.token)).data
    base = made["baseUrl"].removeprefix(app.public_url.rstrip("/"))
    return Connection(app=app, client=client, admin=admin, name=name, id=made["id"], base=base, token=made["token"])
