"""Accounts that a User Admin manipulates before their user becomes an Admin, and the ways to become one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import commands
from tests.support.accounts import Keys, act_on, new_user, number_of, opened_by
from tests.support.application import App, Reply
from tests.support.background_jobs import soon
from tests.support.people import OidcProvider, set_roles
from tests.support.rows import add_row, rows
from tests.support.secret_keys import SECRET_KEY
from tests.support.single_sign_on import Browser
from tests.support.team import Team
from tests.support.user_management import RENEW, RESET, RESTORE, SET_ROLES, accept, reset, token_in

ADMIN_GROUP = [{"group": "bosses", "roles": ["Admin"]}]
CHOSEN = "granite-otter-47-lantern"  # chosen by the User Admin who manipulated the account


@dataclass
class PlantedAccount:
    """An account that becomes an Admin's, and the access that a User Admin kept to it. ``company`` is the client's own
    provider."""

    team: Team
    company: OidcProvider
    user_id: int
    email: str
    things: dict[str, Callable[[], Awaitable[bool]]] = field(default_factory=dict)
    planter: str = ""  # access token of the planted session

    @property
    def app(self) -> App:
        return self.team.app

    @property
    def path(self) -> str:
        """The user's path in the admin API."""
        return f"/api/admin/clients/{self.team.client}/users/{self.user_id}"

    async def opened(self) -> set[str]:
        """The credentials that give access to the account."""
        return {name for name, opens in self.things.items() if await opens()}

    async def is_theirs(self, reply: Reply, browser: Browser | None = None) -> bool:
        """Whether a response gives access to the account."""
        if reply.status >= 400:
            return False
        browser = browser or Browser(self.app, {"session": reply.cookie("session")})
        me = await browser.me()
        return me.status == 200 and me.data["user"]["id"] == self.user_id

    async def link(self, by: str, document: str) -> str:
        """The token of a link, as returned to the user who created it."""
        return token_in(await self.team.ask(by, document, id=self.user_id))

    async def attempt(self, provider: OidcProvider, sub: str, email: str = "", **options: Any) -> bool:
        """Whether a provider's person can sign in to the account."""
        browser, reply = await provider.attempt(sub, email, **options)
        return await self.is_theirs(reply, browser)

    async def identities(self) -> list[str]:
        """Subjects of the linked identities."""
        found = await self.app.get(f"{self.path}/identities", token=await self.app.admin_token())
        return [row["subject"] for row in found.data["items"]]

    async def left(self) -> tuple[int, int]:
        """The number of pending address changes, and of known devices and addresses."""
        changes = await rows(self.app, "email_changes", "key", user_id=self.user_id, closed_at=None)
        return len(changes), len(await rows(self.app, "known_origins", "origin", user_id=self.user_id))

    async def change_begins(self) -> None:
        """Start a change of the address, which waits to be confirmed."""
        await add_row(
            self.app, "email_changes", tenant_id=await number_of(self.app, self.team.client), key=f"key-{self.user_id}",
            user_id=self.user_id, old_email=self.email, new_email="", started_by="", created_at=1, expires_at=1,
        )  # fmt: skip


async def planted_account(team: Team, company: OidcProvider, **members: Any) -> PlantedAccount:
    """A new account, known to the company's provider as the subject ``rising``."""
    user_id, email = await new_user(team.app, team.client, **members)
    planted = PlantedAccount(team, company, user_id, email)
    assert await planted.attempt(company, "rising", email)
    return planted


async def plant_all(planted: PlantedAccount, public: OidcProvider, mine: OidcProvider) -> None:
    """Plant everything that a User Admin can without access to the mailbox. ``public`` is a provider that an Admin
    saved and that has no domain; ``mine`` is the User Admin's own."""
    app, company, email, things = planted.app, planted.company, planted.email, planted.things
    token = await planted.link("User Admin", RENEW)
    assert await planted.attempt(mine, "as-rising", email, query={"invitation": token})
    things["identity at the planter's provider"] = _again(planted, mine, "as-rising", email)
    chosen = await reset(app, await planted.link("User Admin", RESET), CHOSEN)
    keys = Keys(chosen.data["token"], chosen.data["refreshToken"], chosen.cookie("session"))
    planted.planter = keys.token
    for name, provider in (("right provider", company), ("public", public)):
        token = await planted.link("User Admin", RENEW)
        assert await planted.attempt(provider, "planter", "planter@mail.example", query={"invitation": token})
        things[f"invitation taken, {name}"] = _again(planted, provider, "planter", "planter@mail.example")
    _, coded = await company.attempt("planter", query={"response": "code"})
    code = {"code": coded.headers["location"].partition("code=")[2]}
    invitation, by_admin = await planted.link("User Admin", RENEW), await planted.link("Admin", RESET)
    things["linking under way"] = await _linking(planted, public, keys.cookie)
    things["invitation under way"] = await _coming(planted, public, invitation)
    await planted.change_begins()

    async def keys_open() -> bool:
        return bool(await opened_by(app, keys))

    async def password_opens() -> bool:
        return (await app.sign_in(email, CHOSEN, planted.team.client)).status == 200

    async def code_opens() -> bool:
        return await planted.is_theirs(await app.post("/api/client/auth/exchange", code))

    async def invitation_opens() -> bool:
        return await planted.is_theirs(await accept(app, invitation, CHOSEN))

    async def reset_opens() -> bool:
        return await planted.is_theirs(await reset(app, by_admin, CHOSEN + "-2"))

    things |= {
        "session": keys_open, "password": password_opens, "code": code_opens, "link": invitation_opens,
        "an Admin's link": reset_opens,
    }  # fmt: skip


def _again(planted: PlantedAccount, provider: OidcProvider, sub: str, email: str) -> Callable[[], Awaitable[bool]]:
    return lambda: planted.attempt(provider, sub, email)


async def _linking(planted: PlantedAccount, provider: OidcProvider, session: str) -> Callable[[], Awaitable[bool]]:
    """Start linking another identity in a session, without finishing it."""
    browser = Browser(planted.app, {"session": session})
    proof = await browser.send("POST", "/api/client/auth/reauthenticate", body={"password": CHOSEN})
    assert proof.status == 200, proof.text
    begun = await browser.send("POST", "/api/client/auth/identities", body={"provider": provider.name})
    return _late(planted, provider, browser, begun.data["location"])


async def _coming(planted: PlantedAccount, provider: OidcProvider, invitation: str) -> Callable[[], Awaitable[bool]]:
    """Start a sign-in with an invitation, without finishing it."""
    browser = Browser(planted.app)
    started = await browser.start("oidc", provider=provider.name, client=planted.team.client, invitation=invitation)
    return _late(planted, provider, browser, started.headers["location"])


def _late(
    planted: PlantedAccount, provider: OidcProvider, browser: Browser, where: str
) -> Callable[[], Awaitable[bool]]:
    async def opens() -> bool:
        provider.knows("late", "late@mail.example")
        reply = await browser.send("GET", provider.op.visit(where))
        return reply.status < 400 and await planted.attempt(provider, "late", "late@mail.example")

    return opens


async def by_graphql(planted: PlantedAccount, folder: Path) -> str | None:
    """The link that is returned to the user who grants the role."""
    answer = SET_ROLES.replace("{ id ", "{ id link ")
    found = await planted.team.ask("Admin", answer, id=planted.user_id, roles=["Admin"])
    link: str | None = found["link"]
    return link


async def by_admin_plane(planted: PlantedAccount, folder: Path) -> str | None:
    token = await planted.app.admin_token()
    reply = await planted.app.send("PUT", f"{planted.path}/roles", {"roles": ["Admin"]}, token=token)
    link: str | None = reply.data["link"]
    return link


async def by_restoring(planted: PlantedAccount, folder: Path) -> str | None:
    """Restore a user who became an Admin while deactivated, and so gains the role now."""
    where = f"{planted.team.client}/users/{planted.user_id}"
    await act_on(planted.app, f"{where}/deactivate")
    await set_roles(planted.app, planted.team.client, planted.user_id, "Admin")
    found = await planted.team.ask("Admin", RESTORE.replace("{ id ", "{ id link "), id=planted.user_id)
    link: str | None = found["link"]
    return link


async def by_groups(planted: PlantedAccount, folder: Path) -> str | None:
    assert await planted.attempt(planted.company, "rising", planted.email, groups=["bosses"])
    return None


async def by_command_line(planted: PlantedAccount, folder: Path) -> str | None:
    settings = {"MANIFEST_DATABASE_URL": planted.app.database, "MANIFEST_SECRET_KEY": SECRET_KEY}
    words = ("user", "roles", planted.email, "--client", planted.team.client, "--role", "Admin")
    done = await asyncio.to_thread(commands.run, folder, *words, **settings)
    assert done.status == 0, done.err
    assert f"User {planted.email} now has these roles: Admin." in done.out

    async def session_opens() -> bool:
        return (await planted.app.me(planted.planter)).status == 200

    if planted.planter:  # this process is notified a moment later
        await soon(session_opens, False)
    return next((word for word in done.out.split() if "/welcome#" in word), None)


PATHS: dict[str, Callable[[PlantedAccount, Path], Awaitable[str | None]]] = {
    "set_user_roles": by_graphql,
    "admin_plane": by_admin_plane,
    "groups": by_groups,
    "restored": by_restoring,
    "command_line": by_command_line,
}
