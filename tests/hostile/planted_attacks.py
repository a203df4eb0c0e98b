"""Attacks from below: a User Admin prepares an account whose owner becomes an Admin later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.hostile.scenario import PASSWORD, Attack, Browser, Scene, attack, guard, opens
from tests.support.people import OidcProvider
from tests.support.user_management import INVITE, NEW, RENEW, RESET, RESTORE, SET_ROLES, accept, reset

Opened = Callable[[], Awaitable[bool]]
Kind = Callable[[Attack], Attack]


class Boss:
    """Someone whom a User Admin invited, and who holds the link."""

    def __init__(self, scene: Scene, company: OidcProvider) -> None:
        self.scene, self.company = scene, company
        self.id, self.email, self.token = 0, f"boss@{scene.honest.domain}", ""

    async def invited(self) -> Boss:
        given = {"email": self.email, "roles": ["Viewer"]}
        handed = await self.scene.honest.crew.ask("User Admin", INVITE, input=given)
        self.id = int(handed["user"]["id"])
        self.token = await self.link(handed)
        return self

    async def link(self, handed: dict[str, str | None]) -> str:
        """The token of a link that was shown; else of the e-mail, which the attacker of this file could not read
        without a mailbox: here it stands for one that was shown while there was no mail server."""
        return (handed["link"] or (await self.scene.mail.next_letter()).link).partition("#")[2]

    async def is_admin(self, *, token: str = "", cookie: str = "") -> bool:
        me = await opens(self.scene.app, token=token, cookie=cookie)
        return bool(me) and me["user"]["id"] == self.id and "Admin" in me["roles"]


async def _boss(scene: Scene) -> Boss:
    return await Boss(scene, await scene.company(createUsers=False)).invited()


async def _password(boss: Boss) -> Opened:
    await accept(boss.scene.app, boss.token)

    async def opened() -> bool:
        reply = await boss.scene.app.sign_in(boss.email, NEW, client=boss.scene.honest.client)
        return reply.status == 200 and await boss.is_admin(token=reply.data["token"])

    return opened


async def _session(boss: Boss) -> Opened:
    reply = await accept(boss.scene.app, boss.token)
    token, cookie = reply.data["token"], reply.cookie("session")

    async def opened() -> bool:
        return await boss.is_admin(token=token) or await boss.is_admin(cookie=cookie)

    return opened


async def _refresh_token(boss: Boss) -> Opened:
    refresh_token = (await accept(boss.scene.app, boss.token)).data["refreshToken"]

    async def opened() -> bool:
        reply = await boss.scene.app.refresh(refresh_token)
        return reply.status == 200 and await boss.is_admin(token=reply.data["token"])

    return opened


async def _reset_link(boss: Boss) -> Opened:
    await accept(boss.scene.app, boss.token)
    token = await boss.link(await boss.scene.honest.crew.ask("User Admin", RESET, id=boss.id))

    async def opened() -> bool:
        reply = await reset(boss.scene.app, token, PASSWORD[::-1])
        return reply.status == 200 and await boss.is_admin(token=reply.data["token"])

    return opened


async def _identity(boss: Boss) -> Opened:
    """The planter's own person at the company's provider takes the invitation."""
    own = f"planter@{boss.scene.honest.domain}"
    await boss.company.attempt("planter-subject", own, query={"invitation": boss.token})

    async def opened() -> bool:
        browser, _ = await boss.company.attempt("planter-subject", own)
        return "session" in browser.cookies and await boss.is_admin(cookie=browser.cookies["session"])

    return opened


async def _code(boss: Boss) -> Opened:
    """A one-time code of the planter's own person."""
    own = f"planter@{boss.scene.honest.domain}"
    await boss.company.attempt("planter-subject", own, query={"invitation": boss.token})
    browser = Browser(boss.scene.app)
    verifier, challenge = "v" * 43, "tUoQ33MJ3cnHePm1jGVJYy3mB3RGyR-0uaZcUR9DUPo"
    query = {"response": "code", "challenge": challenge}
    boss.company.knows("planter-subject", own)
    ended = await browser.sign_in_oidc(boss.company.op, boss.company.name, boss.company.client, **query)
    code = ended.headers["location"].partition("code=")[2]

    async def opened() -> bool:
        reply = await boss.scene.app.post("/api/client/auth/exchange", {"code": code, "verifier": verifier})
        return reply.status == 200 and await boss.is_admin(token=reply.data["token"])

    return opened


async def _by_groups(boss: Boss) -> None:
    browser, reply = await boss.company.attempt("boss-subject", boss.email, groups=["bosses"])
    if reply.status == 401:  # another subject of the provider has the account: an invitation is the way
        query = {"invitation": await boss.link(await boss.scene.honest.crew.ask("Admin", RENEW, id=boss.id))}
        browser = await boss.company.sign_in("boss-subject", boss.email, groups=["bosses"], query=query)
    me = (await browser.me()).data
    assert (me["user"]["id"], "Admin" in me["roles"]) == (boss.id, True), me


async def _by_an_admin(boss: Boss) -> None:
    await boss.scene.honest.crew.ask("Admin", SET_ROLES, id=boss.id, roles=["Admin"])


async def _by_restoring(boss: Boss) -> None:
    """Somebody who was an Admin, and was deactivated meanwhile."""
    token, base = await boss.scene.app.admin_token(), f"/api/admin/clients/{boss.scene.honest.client}/users/{boss.id}"
    await boss.scene.app.post(f"{base}/deactivate", token=token)
    await boss.scene.app.send("PUT", f"{base}/roles", {"roles": ["Admin"]}, token=token)
    await boss.scene.honest.crew.ask("Admin", RESTORE, id=boss.id)


def _planted(
    plant: Callable[[Boss], Awaitable[Opened]], gain: Callable[[Boss], Awaitable[None]], kind: Kind = attack
) -> None:
    async def planted(scene: Scene) -> bool:
        boss = await _boss(scene)
        opened = await plant(boss)
        await gain(boss)
        return await opened()

    planted.__name__ = f"planted{plant.__name__}_then_admin{gain.__name__}"
    kind(planted)


_planted(_reset_link, _by_groups, guard)
for _thing in (_password, _session, _refresh_token, _identity, _code):
    _planted(_thing, _by_groups)
for _thing in (_password, _session, _refresh_token, _identity):
    _planted(_thing, _by_an_admin)
_planted(_password, _by_restoring)
