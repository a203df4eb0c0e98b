"""Attacks by a User Admin who manipulates an account whose owner later becomes an Admin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.hostile.scenario import PASSWORD, Attack, Browser, Scenario, attack, guard, opens
from tests.support.people import OidcProvider
from tests.support.user_management import INVITE, NEW, RENEW, RESET, RESTORE, SET_ROLES, accept, reset

Opened = Callable[[], Awaitable[bool]]
Kind = Callable[[Attack], Attack]


class FutureAdmin:
    """A user whom a User Admin invited, and whose link the User Admin also has."""

    def __init__(self, scenario: Scenario, company: OidcProvider) -> None:
        self.scenario, self.company = scenario, company
        self.id, self.email, self.token = 0, f"boss@{scenario.honest.domain}", ""

    async def invited(self) -> FutureAdmin:
        given = {"email": self.email, "roles": ["Viewer"]}
        handed = await self.scenario.honest.team.ask("User Admin", INVITE, input=given)
        self.id = int(handed["user"]["id"])
        self.token = await self.link(handed)
        return self

    async def link(self, handed: dict[str, str | None]) -> str:
        """The token of a link that was returned, or else of the newest email. The attacker can't read that email; here
        it stands for a link that was returned while there was no mail server."""
        link = handed["link"] or (await self.scenario.mails_to(self.email))[-1].link
        return link.partition("#")[2]

    async def is_admin(self, *, token: str = "", cookie: str = "") -> bool:
        me = await opens(self.scenario.app, token=token, cookie=cookie)
        return bool(me) and me["user"]["id"] == self.id and "Admin" in me["roles"]


async def _future_admin(scenario: Scenario) -> FutureAdmin:
    return await FutureAdmin(scenario, await scenario.company(createUsers=False)).invited()


async def _password(future_admin: FutureAdmin) -> Opened:
    await accept(future_admin.scenario.app, future_admin.token)

    async def opened() -> bool:
        reply = await future_admin.scenario.app.sign_in(
            future_admin.email, NEW, client=future_admin.scenario.honest.client
        )
        return reply.status == 200 and await future_admin.is_admin(token=reply.data["token"])

    return opened


async def _session(future_admin: FutureAdmin) -> Opened:
    reply = await accept(future_admin.scenario.app, future_admin.token)
    token, cookie = reply.data["token"], reply.cookie("session")

    async def opened() -> bool:
        return await future_admin.is_admin(token=token) or await future_admin.is_admin(cookie=cookie)

    return opened


async def _refresh_token(future_admin: FutureAdmin) -> Opened:
    refresh_token = (await accept(future_admin.scenario.app, future_admin.token)).data["refreshToken"]

    async def opened() -> bool:
        reply = await future_admin.scenario.app.refresh(refresh_token)
        return reply.status == 200 and await future_admin.is_admin(token=reply.data["token"])

    return opened


async def _reset_link(future_admin: FutureAdmin) -> Opened:
    await accept(future_admin.scenario.app, future_admin.token)
    token = await future_admin.link(
        await future_admin.scenario.honest.team.ask("User Admin", RESET, id=future_admin.id)
    )

    async def opened() -> bool:
        reply = await reset(future_admin.scenario.app, token, PASSWORD[::-1])
        return reply.status == 200 and await future_admin.is_admin(token=reply.data["token"])

    return opened


async def _identity(future_admin: FutureAdmin) -> Opened:
    """The User Admin's own person at the company's provider accepts the invitation."""
    own = f"planter@{future_admin.scenario.honest.domain}"
    await future_admin.company.attempt("planter-subject", own, query={"invitation": future_admin.token})

    async def opened() -> bool:
        browser, _ = await future_admin.company.attempt("planter-subject", own)
        return "session" in browser.cookies and await future_admin.is_admin(cookie=browser.cookies["session"])

    return opened


async def _code(future_admin: FutureAdmin) -> Opened:
    """A one-time code of the User Admin's own person."""
    own = f"planter@{future_admin.scenario.honest.domain}"
    await future_admin.company.attempt("planter-subject", own, query={"invitation": future_admin.token})
    browser = Browser(future_admin.scenario.app)
    verifier, challenge = "v" * 43, "tUoQ33MJ3cnHePm1jGVJYy3mB3RGyR-0uaZcUR9DUPo"
    query = {"response": "code", "challenge": challenge}
    future_admin.company.knows("planter-subject", own)
    ended = await browser.sign_in_oidc(
        future_admin.company.op, future_admin.company.name, future_admin.company.client, **query
    )
    code = ended.headers["location"].partition("code=")[2]

    async def opened() -> bool:
        reply = await future_admin.scenario.app.post("/api/client/auth/exchange", {"code": code, "verifier": verifier})
        return reply.status == 200 and await future_admin.is_admin(token=reply.data["token"])

    return opened


async def _by_groups(future_admin: FutureAdmin) -> None:
    browser, reply = await future_admin.company.attempt("boss-subject", future_admin.email, groups=["bosses"])
    if reply.status == 401:  # another subject of the provider has the account, so an invitation is used
        query = {
            "invitation": await future_admin.link(
                await future_admin.scenario.honest.team.ask("Admin", RENEW, id=future_admin.id)
            )
        }
        browser = await future_admin.company.sign_in("boss-subject", future_admin.email, groups=["bosses"], query=query)
    me = (await browser.me()).data
    assert (me["user"]["id"], "Admin" in me["roles"]) == (future_admin.id, True), me


async def _by_an_admin(future_admin: FutureAdmin) -> None:
    await future_admin.scenario.honest.team.ask("Admin", SET_ROLES, id=future_admin.id, roles=["Admin"])


async def _by_restoring(future_admin: FutureAdmin) -> None:
    """A user who became an Admin while deactivated is restored."""
    token, base = (
        await future_admin.scenario.app.admin_token(),
        f"/api/admin/clients/{future_admin.scenario.honest.client}/users/{future_admin.id}",
    )
    await future_admin.scenario.app.post(f"{base}/deactivate", token=token)
    await future_admin.scenario.app.send("PUT", f"{base}/roles", {"roles": ["Admin"]}, token=token)
    await future_admin.scenario.honest.team.ask("Admin", RESTORE, id=future_admin.id)


def _planted(
    plant: Callable[[FutureAdmin], Awaitable[Opened]],
    gain: Callable[[FutureAdmin], Awaitable[None]],
    kind: Kind = attack,
) -> None:
    async def planted(scenario: Scenario) -> bool:
        future_admin = await _future_admin(scenario)
        opened = await plant(future_admin)
        await gain(future_admin)
        return await opened()

    planted.__name__ = f"planted{plant.__name__}_then_admin{gain.__name__}"
    kind(planted)


_planted(_reset_link, _by_groups, guard)
for _thing in (_password, _session, _refresh_token, _identity, _code):
    _planted(_thing, _by_groups)
for _thing in (_password, _session, _refresh_token, _identity):
    _planted(_thing, _by_an_admin)
_planted(_password, _by_restoring)
