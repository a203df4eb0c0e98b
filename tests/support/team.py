"""A client's users, created on demand for each role, who send GraphQL requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from manifest_auth.store import TenantUnit
from tests.support.accounts import new_client, store_of
from tests.support.application import App, Reply
from tests.support.people import Member, member

T = TypeVar("T")


@dataclass
class Refused:
    """The only error of a response. ``fields`` are the invalid arguments."""

    code: str
    message: str
    path: list[Any]
    fields: list[str]


@dataclass
class Team:
    """Users identified by role, who send documents with variables."""

    app: App
    client: str
    members: dict[str, Member] = field(default_factory=dict)

    async def member(self, role: str) -> Member:
        """The client's user of this role, signed in."""
        if role not in self.members:
            self.members[role] = await member(self.app, self.client, role)
        return self.members[role]

    async def within(self, work: Callable[[TenantUnit], T]) -> T:
        """Run a unit of work within the client."""
        return await (await store_of(self.app, self.client)).write(work)

    async def send(self, role: str, document: str, **variables: Any) -> Reply:
        """Send a document; returns the whole response."""
        token = (await self.member(role)).token
        body = {"query": document, "variables": variables}
        return await self.app.post("/api/client/graphql", body, token=token)

    async def ask(self, role: str, document: str, **variables: Any) -> Any:
        """The result of the only field at the root of the document."""
        reply = await self.send(role, document, **variables)
        assert "errors" not in reply.json, reply.text
        [found] = reply.json["data"].values()
        return found

    async def refused(self, role: str, document: str, **variables: Any) -> Refused:
        """Send a document that must be rejected with a single error and no data; returns the error."""
        return refusal(await self.send(role, document, **variables))


def refusal(reply: Reply) -> Refused:
    """The single error of a response without data."""
    [error] = reply.json["errors"]
    assert not any((reply.json.get("data") or {}).values()), reply.text
    extensions = error["extensions"]
    assert extensions["requestId"] == reply.headers["x-request-id"]
    fields = [detail["field"] for detail in extensions.get("details", [])]
    return Refused(extensions["code"], error["message"], error.get("path", []), fields)


async def new_team(app: App) -> Team:
    """A team in a new client."""
    return Team(app, await new_client(app))
