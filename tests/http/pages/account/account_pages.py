"""A user who manages their account on its pages."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.visitor import Visitor

#: Paths below ``/account``.
PAGES = (
    "", "/profile", "/email", "/password", "/second-factor", "/passkeys", "/codes", "/devices", "/badge",
    "/sessions", "/apps", "/identities", "/language",
)  # fmt: skip


class Person(NamedTuple):
    """A user with a password, and the browser that they signed in with."""

    id: int
    email: str
    client: str
    visitor: Visitor


async def person(app: App, client: str = "", *, user_agent: str = "", **members: Any) -> Person:
    """A new signed-in user, of a new client unless one is named."""
    client = client or await new_client(app)
    user_id, email = await new_user(app, client, password=PASSWORD, **members)
    return Person(user_id, email, client, await signed_in(app, email, client, user_agent))


async def signed_in(app: App, email: str, client: str, user_agent: str = "") -> Visitor:
    """Another browser of the same user."""
    headers = {"User-Agent": user_agent} if user_agent else {}
    reply = await app.sign_in(email, PASSWORD, client=client, headers=headers)
    return Visitor(app, {"session": reply.cookie("session")})
