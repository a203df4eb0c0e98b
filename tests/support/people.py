"""Users who sign in by password or through their client's OpenID provider, and the changes an Admin can make."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.domain_claims import domain_counts
from tests.support.oidc_op import Op, provider
from tests.support.single_sign_on import Browser, add_oidc, check_no_one_got_in, failures


class Member(NamedTuple):
    """A user of a client, signed in by password."""

    id: int
    email: str
    token: str
    cookie: str


async def member(app: App, client: str, *roles: str, email: str = "") -> Member:
    """A new user with these roles, Viewer unless some are given."""
    user_id, email = await new_user(app, client, email, roles=list(roles or ("Viewer",)), password=PASSWORD)
    reply = await app.sign_in(email, client=client)
    return Member(user_id, email, reply.data["token"], reply.cookie("session"))


async def user_of(app: App, client: str, user_id: int) -> dict[str, Any]:
    """The database row of a user."""
    found = await app.get(f"/api/admin/clients/{client}/users/{user_id}", token=await app.admin_token())
    data: dict[str, Any] = found.data
    return data


async def users_of(app: App, client: str) -> dict[str, dict[str, Any]]:
    """All users of a client, by email address."""
    found = await app.get(f"/api/admin/clients/{client}/users?first=100", token=await app.admin_token())
    return {user["email"]: user for user in found.data["items"]}


async def set_roles(app: App, client: str, user_id: int, *roles: str) -> None:
    """Set the roles that the client assigns manually."""
    path = f"/api/admin/clients/{client}/users/{user_id}/roles"
    assert (await app.send("PUT", path, {"roles": roles}, token=await app.admin_token())).status == 200


async def last_reason(app: App, client: str) -> str:
    """The reason for the last failed sign-in, from the audit trail."""
    return str((await failures(app, client))[-1]["why"])


async def session_of(browser: Browser) -> dict[str, Any]:
    """The complete ``me`` response for the user who is signed in to the browser."""
    found: dict[str, Any] = (await browser.me()).data
    return found


def roles_line(group: str, *roles: str) -> dict[str, Any]:
    """A line in a provider's mapping from groups to roles."""
    return {"group": group, "roles": list(roles)}


@dataclass
class OidcProvider:
    """A client's OpenID provider and its users."""

    app: App
    op: Op
    client: str
    made: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.made["name"])

    def knows(self, sub: str, email: str = "", *, verified: Any = True, **claims: Any) -> None:
        """Choose the person who signs in at the provider from now on. ``verified`` None omits the claim."""
        told = {"sub": sub, "email": email or None, "email_verified": verified if email else None, **claims}
        self.op.user = {name: value for name, value in told.items() if value is not None}

    async def attempt(
        self, sub: str, email: str = "", *, browser: Browser | None = None, query: dict[str, str] | None = None,
        **claims: Any,
    ) -> tuple[Browser, Reply]:  # fmt: skip
        """Try to sign the person in; returns their browser and the response of our callback."""
        self.knows(sub, email, **claims)
        browser = browser or Browser(self.app)
        return browser, await browser.sign_in_oidc(self.op, self.name, self.client, **(query or {}))

    async def among_others(self, sub: str, email: str, **claims: Any) -> Reply:
        """Like :meth:`attempt`, for several people at the same time; returns the response of our callback."""
        browser = Browser(self.app)
        started = await browser.start("oidc", provider=self.name, client=self.client)
        back = self.op.visit(started.headers["location"])
        [code] = parse_qs(urlsplit(back).query)["code"]
        self.op.people[code] = {"sub": sub, "email": email, "email_verified": True, **claims}
        return await browser.send("GET", back)

    async def sign_in(self, sub: str, email: str = "", **options: Any) -> Browser:
        """Sign a person in; returns their browser."""
        browser, reply = await self.attempt(sub, email, **options)
        assert (reply.status, reply.headers.get("location", "")[:8]) == (302, "https://"), reply.text
        assert "session" in browser.cookies
        return browser

    async def sign_in_invited(self, user_id: int, sub: str, email: str = "", **options: Any) -> Browser:
        """Sign a person in through an invitation to an account that another provider knows; returns their browser."""
        token = str((await self.invite(user_id)).data["token"])
        return await self.sign_in(sub, email, query={"invitation": token}, **options)

    async def refused(self, sub: str, email: str = "", **options: Any) -> str:
        """A rejected sign-in; returns the reason in the audit trail."""
        _, reply = await self.attempt(sub, email, **options)
        check_no_one_got_in(reply)
        return await last_reason(self.app, self.client)

    async def send(self, method: str, path: str = "", body: Any = None, *, token: str = "") -> Reply:
        """Send a request about the provider, from the client's user with a ``token``, or else from a system admin."""
        base = "/api/client/providers" if token else f"/api/admin/clients/{self.client}/providers"
        return await self.app.send(
            method, f"{base}/{self.name}{path}", body, token=token or await self.app.admin_token()
        )

    async def change(self, *, token: str = "", **members: Any) -> dict[str, Any]:
        """Change the provider; returns its new state."""
        changed: dict[str, Any] = (await self.send("PATCH", "", members, token=token)).data
        return changed

    async def invite(self, user_id: int, token: str = "") -> Reply:
        """Create an invitation to an account of the client."""
        base = "/api/client" if token else f"/api/admin/clients/{self.client}"
        return await self.app.post(f"{base}/users/{user_id}/invitation", token=token or await self.app.admin_token())


@contextlib.asynccontextmanager
async def oidc_provider(
    app: App, client: str = "", oidc: dict[str, Any] | None = None, *, vouches: bool = False, **members: Any
) -> AsyncIterator[OidcProvider]:
    """A provider of a client, which is new unless named. ``vouches`` makes it trusted for the addresses at
    CLIENT.example, a domain that the client then owns."""
    client = client or await new_client(app)
    if vouches:
        await domain_counts(app, client)
        members.setdefault("domains", [f"{client}.example"])
    with provider(app.clock, alg="ES256") as op:
        yield OidcProvider(app, op, client, await add_oidc(app, op, client, oidc, **members))


SETTINGS = "/api/client/settings"


@dataclass
class OwnClient:
    """``client_admin`` is its Admin, ``clerk`` its User Admin."""

    app: App
    identifier: str
    client_admin: Member
    clerk: Member

    async def shown(self, by: Member | None = None) -> dict[str, Any]:
        """The current settings."""
        found: dict[str, Any] = (await self.app.get(SETTINGS, token=(by or self.client_admin).token)).data
        return found

    async def change(self, by: Member, **members: Any) -> Reply:
        return await self.app.send("PATCH", SETTINGS, members, token=by.token)

    async def changed(self, by: Member, **members: Any) -> dict[str, Any]:
        """Change the settings, which must succeed; returns them."""
        data: dict[str, Any] = (await self.change(by, **members)).data
        return data


async def own_client(app: App, **settings: Any) -> OwnClient:
    """A client that no other test uses, with a provider that can sign in Admins."""
    client = await new_client(app, **settings)
    provider = {"name": "of-admins", "oidc": {"issuer": "https://op.example", "clientId": "x"}}
    path = f"/api/admin/clients/{client}/providers"
    assert (await app.post(path, provider, token=await app.admin_token())).status == 201
    client_admin, clerk = await member(app, client, "Admin"), await member(app, client, "User Admin")
    return OwnClient(app, client, client_admin, clerk)
