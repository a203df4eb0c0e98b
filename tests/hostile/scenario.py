"""Two honest clients and a hostile one, as every attack finds them.

An attack is a coroutine function that gets a :class:`Scene` and says whether it succeeded. It speaks HTTP, and acts
with what its author would hold: one client's own people, provider, directory and mailbox.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.interop.microsoft.microsoft_setup import World
from tests.support.accounts import new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.email_changes import quiet
from tests.support.mail_server import MailServer, Received
from tests.support.oidc_op import Op, provider
from tests.support.people import Member, OidcProvider, member
from tests.support.single_sign_on import RETURN_TO, Browser, add_oidc
from tests.support.team import Crew

_numbers = itertools.count(1)
Attack = Callable[["Scene"], Awaitable[bool]]
#: All attacks by name. ``True``: a guard, which nothing ever let through; else it succeeded before claims were proved.
ATTACKS: dict[str, tuple[Attack, bool]] = {}
BOSSES = [{"group": "bosses", "roles": ["Admin"]}]


def attack(function: Attack) -> Attack:
    """Lists an attack that succeeded once."""
    ATTACKS[function.__name__] = (function, False)
    return function


def guard(function: Attack) -> Attack:
    """Lists an attack that never succeeded, so that it never will."""
    ATTACKS[function.__name__] = (function, True)
    return function


@dataclass
class Party:
    """A client, its Admin and its User Admin."""

    app: App
    client: str
    admin: Member
    user_admin: Member
    crew: Crew = field(init=False)

    def __post_init__(self) -> None:
        self.crew = Crew(self.app, self.client, {"Admin": self.admin, "User Admin": self.user_admin})

    @property
    def domain(self) -> str:
        return f"{self.client}.example"

    async def add(self, by: str = "Admin", **members: Any) -> Reply:
        """A provider that this client's own people save."""
        who = self.admin if by == "Admin" else self.user_admin
        body = {"name": f"own-{next(_numbers)}", "returnAddresses": [RETURN_TO], **members}
        return await self.app.post("/api/client/providers", body, token=who.token)


@dataclass
class Scene:
    """``honest``, ``other``: two clients that mean well; ``hostile``: whose people attack them."""

    world: World
    mail: MailServer
    honest: Party
    other: Party
    hostile: Party
    stack: contextlib.ExitStack

    @property
    def app(self) -> App:
        return self.world.app

    def op(self, **attributes: Any) -> Op:
        """A new OpenID provider."""
        return self.stack.enter_context(provider(self.app.clock, alg="ES256", **attributes))

    async def company(self, party: Party | None = None, *, sends_iss: bool = True, **members: Any) -> OidcProvider:
        """A client's own OpenID provider, which vouches for its people; a system admin saved it."""
        party = party or self.honest
        op = self.op(without_iss=not sends_iss)
        given = {"domains": [party.domain], "groupRoles": BOSSES, "defaultRoles": ["Viewer"], **members}
        made = await add_oidc(self.app, op, party.client, **given)
        for domain in given["domains"]:
            await self.vouch(party, f"domains/{domain}")
        return OidcProvider(self.app, op, party.client, made)

    async def vouch(self, party: Party, claim: str) -> None:
        """A system admin vouches for what an honest client claims."""
        path = f"/api/admin/clients/{party.client}/{claim}/vouch"
        await self.app.post(path, {"reason": "The contract with this customer"}, token=await self.app.admin_token())

    async def of_hostile(self, op: Op, party: Party | None = None, by: str = "Admin", **members: Any) -> OidcProvider:
        """A provider that a client's own people saved, for an issuer that is theirs."""
        party = party or self.hostile
        settings = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
        oidc = {**settings, **members.pop("oidc", {})}
        made = (await party.add(by, oidc=oidc, **{"createUsers": True, "defaultRoles": ["Viewer"], **members})).data
        return OidcProvider(self.app, op, party.client, made)

    async def person(self, party: Party | None = None, *roles: str, email: str = "") -> Member:
        """A user with a password who is signed in."""
        party = party or self.honest
        return await member(self.app, party.client, *(roles or ("Viewer",)), email=email)

    async def letters_to(self, email: str) -> list[Received]:
        """The e-mails that came to an address, once no more are on their way."""
        await quiet(self.app)
        return [one for one in self.mail.letters if email in one.recipients]

    async def user(self, party: Party | None = None, email: str = "", **members: Any) -> tuple[int, str]:
        """A user without a password."""
        party = party or self.honest
        return await new_user(self.app, party.client, email or f"user-{next(_numbers)}@{party.domain}", **members)

    async def discovered(self, email: str) -> set[tuple[str, str]]:
        """Client and name of each way in that the shared page offers to someone who names no client."""
        found = (await self.app.post("/api/client/auth/discover", {"email": email})).data
        return {(way["clientId"], way["name"]) for way in found["providers"]}


async def _party(app: App, name: str) -> Party:
    client = f"{name}-{next(_numbers)}"
    body = {"identifier": client, "name": client.title(), "settings": {}}
    (await app.post("/api/admin/clients", body, token=await app.admin_token())).data  # noqa: B018 - checks success
    return Party(app, client, await member(app, client, "Admin"), await member(app, client, "User Admin"))


@contextlib.asynccontextmanager
async def scene_in(world: World, mail: MailServer) -> AsyncIterator[Scene]:
    """Three new clients; nothing is left of what the attack before this one did at Microsoft or in a mailbox."""
    await world.clear()
    mail.refuses = ""
    mail.letters.clear()
    parties = [await _party(world.app, name) for name in ("honest", "other", "a-hostile")]
    try:
        with contextlib.ExitStack() as stack:
            honest, other, hostile = parties
            yield Scene(world, mail, honest, other, hostile, stack)
    finally:  # so that no later attack meets their providers
        token = await world.app.admin_token()
        for party in parties:
            base = f"/api/admin/clients/{party.client}"
            for one in (await world.app.get(f"{base}/providers", token=token)).data["items"]:
                assert (await world.app.send("DELETE", f"{base}/providers/{one['name']}", token=token)).status == 200


async def opens(app: App, *, token: str = "", cookie: str = "") -> dict[str, Any]:
    """Whom a key opens an account of: its ``me``, empty where it opens none."""
    reply = await (app.me(token) if token else app.me(cookie=cookie))
    found: dict[str, Any] = reply.data if reply.status == 200 else {}
    return found


__all__ = ["ATTACKS", "BOSSES", "PASSWORD", "Attack", "Browser", "Party", "Scene", "attack", "guard", "opens"]
