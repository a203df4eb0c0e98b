"""The scenario of every attack: two honest clients and a hostile one.

An attack is a coroutine function that gets a :class:`Scenario` and returns whether it succeeded. It uses HTTP, and the
resources of an attacker: one client's own users, provider, directory, and mailbox.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.accounts import new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.email_changes import until_idle
from tests.support.mail_server import MailServer, Received
from tests.support.oidc_op import Op, provider
from tests.support.people import Member, OidcProvider, member
from tests.support.single_sign_on import RETURN_TO, Browser, add_oidc
from tests.support.team import Team

_numbers = itertools.count(1)
Attack = Callable[["Scenario"], Awaitable[bool]]
#: All attacks by name. ``True`` means a guard, which never succeeded; the others succeeded in an earlier version.
ATTACKS: dict[str, tuple[Attack, bool]] = {}
ADMIN_GROUP = [{"group": "bosses", "roles": ["Admin"]}]


def attack(function: Attack) -> Attack:
    """Register an attack that once succeeded."""
    ATTACKS[function.__name__] = (function, False)
    return function


def guard(function: Attack) -> Attack:
    """Register an attack that never succeeded, to make sure that it never will."""
    ATTACKS[function.__name__] = (function, True)
    return function


@dataclass
class Tenant:
    """A client, its Admin, and its User Admin."""

    app: App
    client: str
    admin: Member
    user_admin: Member
    team: Team = field(init=False)

    def __post_init__(self) -> None:
        self.team = Team(self.app, self.client, {"Admin": self.admin, "User Admin": self.user_admin})

    @property
    def domain(self) -> str:
        return f"{self.client}.example"

    async def add(self, by: str = "Admin", **members: Any) -> Reply:
        """Add a provider as one of the client's own users."""
        who = self.admin if by == "Admin" else self.user_admin
        body = {"name": f"own-{next(_numbers)}", "returnAddresses": [RETURN_TO], **members}
        return await self.app.post("/api/client/providers", body, token=who.token)


@dataclass
class Scenario:
    """``honest`` and ``other`` are two honest clients; ``hostile`` is the client whose users attack them."""

    setup: MicrosoftSetup
    mail: MailServer
    honest: Tenant
    other: Tenant
    hostile: Tenant
    stack: contextlib.ExitStack

    @property
    def app(self) -> App:
        return self.setup.app

    def op(self, **attributes: Any) -> Op:
        """Start a new OpenID provider."""
        return self.stack.enter_context(provider(self.app.clock, alg="ES256", **attributes))

    async def company(self, tenant: Tenant | None = None, *, sends_iss: bool = True, **members: Any) -> OidcProvider:
        """A client's own OpenID provider, saved by a system admin and trusted for its users."""
        tenant = tenant or self.honest
        op = self.op(without_iss=not sends_iss)
        given = {"domains": [tenant.domain], "groupRoles": ADMIN_GROUP, "defaultRoles": ["Viewer"], **members}
        made = await add_oidc(self.app, op, tenant.client, **given)
        for domain in given["domains"]:
            await self.vouch(tenant, f"domains/{domain}")
        return OidcProvider(self.app, op, tenant.client, made)

    async def vouch(self, tenant: Tenant, claim: str) -> None:
        """Approve an honest client's claim as a system admin."""
        path = f"/api/admin/clients/{tenant.client}/{claim}/vouch"
        await self.app.post(path, {"reason": "The contract with this customer"}, token=await self.app.admin_token())

    async def of_hostile(self, op: Op, tenant: Tenant | None = None, by: str = "Admin", **members: Any) -> OidcProvider:
        """A provider saved by a client's own users, for an issuer that they control."""
        tenant = tenant or self.hostile
        settings = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
        oidc = {**settings, **members.pop("oidc", {})}
        made = (await tenant.add(by, oidc=oidc, **{"createUsers": True, "defaultRoles": ["Viewer"], **members})).data
        return OidcProvider(self.app, op, tenant.client, made)

    async def person(self, tenant: Tenant | None = None, *roles: str, email: str = "") -> Member:
        """A signed-in user with a password."""
        tenant = tenant or self.honest
        return await member(self.app, tenant.client, *(roles or ("Viewer",)), email=email)

    async def mails_to(self, email: str) -> list[Received]:
        """The emails to an address, once no more are pending."""
        await until_idle(self.app)
        return [one for one in self.mail.mails if email in one.recipients]

    async def user(self, tenant: Tenant | None = None, email: str = "", **members: Any) -> tuple[int, str]:
        """A user without a password."""
        tenant = tenant or self.honest
        return await new_user(self.app, tenant.client, email or f"user-{next(_numbers)}@{tenant.domain}", **members)

    async def discovered(self, email: str) -> set[tuple[str, str]]:
        """Client and name of each sign-in method that the shared page offers when no client is named."""
        found = (await self.app.post("/api/client/auth/discover", {"email": email})).data
        return {(way["clientId"], way["name"]) for way in found["providers"]}


async def _tenant(app: App, name: str) -> Tenant:
    client = f"{name}-{next(_numbers)}"
    body = {"identifier": client, "name": client.title(), "settings": {}}
    (await app.post("/api/admin/clients", body, token=await app.admin_token())).data  # noqa: B018 - checks success
    return Tenant(app, client, await member(app, client, "Admin"), await member(app, client, "User Admin"))


@contextlib.asynccontextmanager
async def scenario_in(setup: MicrosoftSetup, mail: MailServer) -> AsyncIterator[Scenario]:
    """Three new clients, with nothing left at Microsoft or in a mailbox from the previous attack."""
    await setup.clear()
    mail.refuses = ""
    mail.mails.clear()
    tenants = [await _tenant(setup.app, name) for name in ("honest", "other", "a-hostile")]
    try:
        with contextlib.ExitStack() as stack:
            honest, other, hostile = tenants
            yield Scenario(setup, mail, honest, other, hostile, stack)
    finally:  # so that later attacks don't encounter their providers
        token = await setup.app.admin_token()
        for tenant in tenants:
            base = f"/api/admin/clients/{tenant.client}"
            for one in (await setup.app.get(f"{base}/providers", token=token)).data["items"]:
                assert (await setup.app.send("DELETE", f"{base}/providers/{one['name']}", token=token)).status == 200


async def opens(app: App, *, token: str = "", cookie: str = "") -> dict[str, Any]:
    """The ``me`` response for a credential; empty if it's invalid."""
    reply = await (app.me(token) if token else app.me(cookie=cookie))
    found: dict[str, Any] = reply.data if reply.status == 200 else {}
    return found


__all__ = ["ADMIN_GROUP", "ATTACKS", "PASSWORD", "Attack", "Browser", "Scenario", "Tenant", "attack", "guard", "opens"]
