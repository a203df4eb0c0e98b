"""Service accounts and their API keys, created by a system admin for tests."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind
from tests.support.application import App, Reply
from tests.support.envelope import check_success

OWN = "/api/client/service-accounts"
#: The format of every secret of this server, for secret scanners.
SCANNER = r"mfst_(key|scim|sec)_[0-9A-Za-z]{49}"
_numbers = itertools.count(1)


class Key(NamedTuple):
    """``text`` is the secret."""

    id: str
    text: str
    expires_at: str


class Machine(NamedTuple):
    """A service account with one API key."""

    id: int
    name: str
    client: str
    key: Key

    @property
    def actor(self) -> str:
        return f"service:{self.id}"

    @property
    def base(self) -> str:
        """The account's address in the admin API."""
        return f"{of_client(self.client)}/{self.id}"


def of_client(client: str) -> str:
    return f"/api/admin/clients/{client}/service-accounts"


async def new_account(app: App, client: str, *roles: str, **members: Any) -> dict[str, Any]:
    """A service account with these roles; Viewer if none are given."""
    body = {"name": f"machine-{next(_numbers)}", "roles": list(roles or ("Viewer",)), **members}
    made: dict[str, Any] = check_success(await app.post(of_client(client), body, token=await app.admin_token()), 201)
    return made


async def new_key(app: App, client: str, account: int, **asked: Any) -> Key:
    """An additional API key of an account."""
    reply = await app.post(f"{of_client(client)}/{account}/keys", asked, token=await app.admin_token())
    data = check_success(reply, 201)
    return Key(data["id"], data["key"], data["expiresAt"])


async def machine(app: App, client: str, *roles: str, **members: Any) -> Machine:
    """A service account with a key."""
    made = await new_account(app, client, *roles, **members)
    return Machine(made["id"], made["name"], client, await new_key(app, client, made["id"]))


def wrong(key: str) -> str:
    """The key with a wrong checksum."""
    return key[:-1] + ("0" if key[-1] != "0" else "1")


async def ask(app: App, key: str, document: str, **variables: Any) -> Reply:
    """A GraphQL request with a key."""
    return await app.post("/api/client/graphql", {"query": document, "variables": variables}, token=key)


def unknown_key(kind: str = "key") -> str:
    """A well-formed secret that was never issued."""
    return machine_secrets.make(SecretKind(kind), next(_numbers).to_bytes(32, "big"))
