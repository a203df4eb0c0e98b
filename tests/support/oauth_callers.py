"""Service accounts that call ``/oauth2``, created with the rights that a test needs, and their requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from manifest_auth.sessions.tokens import Purpose, signatures
from manifest_auth.text.machine_secrets import PATTERN
from tests.support.application import App, Reply
from tests.support.client_assertions import Maker, b64, ec_key, public_set
from tests.support.machines import new_account, of_client

__all__ = ["PATTERN"]  # and every function

TOKEN, REVOKE, INTROSPECT = "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"
DESCRIPTION = "/.well-known/oauth-authorization-server"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT = {"grant_type": "client_credentials"}


class Machine(NamedTuple):
    """A service account with a client secret and a key pair. ``client`` is the tenant's identifier."""

    app: App
    id: int
    client: str
    secret: str

    @property
    def client_id(self) -> str:
        return f"svc_{self.id}"

    @property
    def basic(self) -> dict[str, str]:
        return basic(self.client_id, self.secret)

    @property
    def maker(self) -> Maker:
        return Maker(self.client_id, self.app.public_url, self.app.clock.ms // 1000, ec_key())

    def signed(self, **claims: Any) -> dict[str, str]:
        """Fields with a valid assertion; ``jti`` makes it unique."""
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.maker.right(**claims)}

    async def token(self, **fields: str) -> str:
        reply = await form(self.app, TOKEN, {**GRANT, **fields}, self.basic)
        assert reply.status == 200, reply.text
        return str(reply.json["access_token"])

    async def introspect(self, token: str) -> Any:
        reply = await form(self.app, INTROSPECT, {"token": token}, self.basic)
        assert reply.status == 200, reply.text
        return reply.json

    async def revoke(self, token: str) -> Reply:
        return await form(self.app, REVOKE, {"token": token}, self.basic)

    async def send(self, method: str, path: str = "", body: Any = None) -> Any:
        """A system admin's request about the account, which must succeed."""
        address = f"{of_client(self.client)}/{self.id}{path}"
        return (await self.app.send(method, address, body, token=await self.app.admin_token())).data

    async def new(self, kind: str) -> str:
        """A new API key (``key``) or client secret (``secret``)."""
        return str((await self.send("POST", f"/{kind}s", {"expiresInDays": 90}))[kind])


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"}


async def form(
    app: App, path: str, fields: Mapping[str, str] | str, headers: Mapping[str, str] | None = None, **options: Any
) -> Reply:
    """Post a form; if ``fields`` is text, it's sent unchanged."""
    content = fields if isinstance(fields, str) else urlencode(fields)
    lines = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    return await app.send("POST", path, content=content.encode(), headers=lines, **options)


async def machine(
    app: App,
    client: str,
    name: str = "exporter",
    *,
    roles: Sequence[str] = ("Viewer",),
    secret: bool = True,
    **members: Any,
) -> Machine:
    """A new service account with a client secret and the public key of ``ec_key``. ``members`` are request fields."""
    made = await new_account(app, client, *roles, name=name, jwks=public_set(ec_key()), **members)
    it = Machine(app, made["id"], client, "")
    return it._replace(secret=await it.new("secret")) if secret else it


def signed_by_us(app: App, head: str, payload: str) -> str:
    """A token with this header and these claims, both base64url, signed with the key of service accounts."""
    key, signed = app.services.keys.signing(Purpose.SERVICE).raw, f"{head}.{payload}"
    return f"{signed}.{b64(signatures.sign(key, signed.encode()))}"


def header_and_claims(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and claims of a token."""
    parts = token.split(".")[:2]
    head, payload = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts)
    return head, payload
