"""A client proves a Microsoft directory: an administrator of it signs in there, and says so with a signed role."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.interop.microsoft.login import Registration
from tests.interop.microsoft.people import ORGANIZATION, OUR_SECRET, OURS
from tests.interop.microsoft.world import World, world_on
from tests.support.accounts import act_on, new_client, trail
from tests.support.claims import directory_counts
from tests.support.envelope import check_headers, check_refusal, check_success
from tests.support.house import App, Reply
from tests.support.people import Member, member, set_roles
from tests.support.single_sign_on import BASE, RETURN_TO, Browser, check_nobody_got_in, query_of

pytest_plugins = ["tests.interop.microsoft.fixtures"]

CALLBACK = f"{BASE}/api/client/auth/directory/callback"
GLOBAL, PRIVILEGED, APPLICATION = (
    "62e90394-69f5-4237-9190-012177145e10",
    "e8611ab8-c189-46e8-94e1-60213ab1f814",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
)
READER = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"  # Directory Readers
OPERATORS = "0e0e0e0e-5555-4555-8555-0000000000ee"
ROLES = {
    GLOBAL: "Global Administrator",
    PRIVILEGED: "Privileged Role Administrator",
    APPLICATION: "Application Administrator",
}


@dataclass
class Prover:
    """A client's Admin in a browser, whose client has a provider of the directory contoso."""

    world: World
    client: str
    admin: Member
    browser: Browser

    @property
    def app(self) -> App:
        return self.world.app

    @property
    def directory(self) -> str:
        return self.world.microsoft.named("contoso").id

    async def begin(self, **body: str) -> Reply:
        path = f"{BASE}/api/client/directories/{self.directory}/prove"
        return await self.browser.send("POST", path, body=body, token=self.admin.token)

    async def prove(self, user: str = "alice", browser: Browser | None = None, **body: str) -> Reply:
        """The whole way; what our callback answers."""
        started = check_success(await self.begin(**body))
        return await (browser or self.browser).send("GET", self.world.microsoft.visit(started["location"], user))

    async def claim(self) -> dict[str, Any]:
        found = await self.app.get(f"/api/client/directories/{self.directory}", token=self.admin.token)
        return dict(found.data)

    async def refused(self, sentence: str = "", *, status: int = 401, code: str = "SSO_FAILED") -> None:
        """Proves nothing, and says what to do."""
        message = check_nobody_got_in(await self.prove(), status, code)
        assert sentence in message
        assert (await self.claim())["state"] == "pending"

    async def last(self) -> dict[str, Any]:
        """The trail's last event of it."""
        event = (await trail(self.app, self.client))[-1]
        return {"event": event.event, "actor": event.actor, "subject": event.subject, **event.members}


async def prover_of(world: World, *, secret: str | None = OUR_SECRET, **members: Any) -> Prover:
    client = await new_client(world.app, returnAddresses=[RETURN_TO])
    dynamics = {
        "directory": world.microsoft.named("contoso").id, "clientId": OURS, "organization": ORGANIZATION,
        **({"clientSecret": secret} if secret else {}),
    }  # fmt: skip
    await world._provider(client, {"dynamics": dynamics, "returnAddresses": [], **members}, counts=False)
    return Prover(world, client, await member(world.app, client, "Admin"), Browser(world.app))


@pytest.fixture
async def prover(world: World) -> Prover:
    world.microsoft.id_claims = {"wids": [GLOBAL]}
    return await prover_of(world)


async def test_the_browser_is_sent_to_the_directorys_own_authority(prover: Prover) -> None:
    reply = await prover.begin()
    check_headers(reply)
    data = check_success(reply)
    assert (data["client"], data["clientName"]) == (prover.client, prover.client)
    assert (data["directory"], data["application"]) == (prover.directory, OURS)
    authority = f"{prover.world.microsoft.base}/{prover.directory}/oauth2/v2.0/authorize"
    assert data["location"].partition("?")[0] == authority
    reply.headers["location"] = data["location"]
    query = query_of(reply)
    assert (query["response_type"], query["client_id"], query["redirect_uri"]) == ("code", OURS, CALLBACK)
    assert (query["scope"], query["prompt"], query["code_challenge_method"]) == (
        "openid profile", "select_account", "S256",
    )  # fmt: skip
    assert all(len(query[name]) >= 22 for name in ("state", "nonce", "code_challenge"))
    [line] = reply.headers.get_list("set-cookie")
    assert line.startswith("directory-")
    assert {"Max-Age=600", "Path=/api/client/auth", "HttpOnly", "SameSite=Lax"} <= set(line.split("; "))


@pytest.mark.parametrize("wid", ROLES)
async def test_each_of_three_roles_proves_it(prover: Prover, wid: str) -> None:
    prover.world.microsoft.id_claims = {"wids": [READER, wid.upper()]}
    ended = await prover.prove(returnTo=RETURN_TO)
    assert (ended.status, ended.headers["location"]) == (302, RETURN_TO)
    assert prover.browser.cookies == {}  # nobody is signed in by it
    claim = await prover.claim()
    oid = prover.world.microsoft.named("contoso").people["alice"].oid
    assert (claim["state"], claim["proof"], claim["provedBy"]) == ("proved", "sign-in", oid)
    assert await prover.last() == {
        "event": "directory_proved", "actor": f"user:{prover.admin.id}", "subject": f"directory:{prover.directory}",
        "tid": prover.directory, "oid": oid, "role": ROLES[wid],
    }  # fmt: skip
    [redeemed] = [asked for asked in prover.world.microsoft.asked if asked.endpoint == "token"]
    assert redeemed.path == f"/{prover.directory}/oauth2/v2.0/token"
    assert (redeemed.form["redirect_uri"], redeemed.form["client_secret"]) == (CALLBACK, OUR_SECRET)
    assert prover.world.microsoft.count("graph") == 0


async def test_what_it_proved_counts_for_bearers(prover: Prover) -> None:
    world = prover.world
    await world.entra(prover.client, counts=False)
    token = world.microsoft.mint("graph")
    await world.refused(token)
    assert (await prover.prove()).status == 302
    assert (await world.me(token))["client"]["identifier"] == prover.client


async def test_without_roles_it_says_what_to_set(prover: Prover) -> None:
    for claims in ({"wids": None}, {"wids": "x"}, {"wids": {GLOBAL: True}}):
        prover.world.microsoft.id_claims = claims
        await prover.refused("set groupMembershipClaims to DirectoryRole or All in the application's manifest")
    assert (await prover.last())["why"] == "wids: missing"


async def test_with_other_roles_it_says_who_must_sign_in(prover: Prover) -> None:
    for wids in ([], [READER], ["b79fbf4d-3ef9-4689-8143-76b194e85509"], [7, None, [GLOBAL]], ["Global Administrator"]):
        prover.world.microsoft.id_claims = {"wids": wids}
        await prover.refused("must be a Global Administrator, a Privileged Role Administrator or an Application")
    last = await prover.last()
    assert (last["event"], last["why"]) == ("sign_in_refused", "wids: none of the three roles")


@pytest.mark.parametrize("tid", ["fafafafa-2222-4222-8222-222222222222", None, "contoso.example"])
async def test_an_administrator_of_another_directory_proves_nothing(prover: Prover, tid: str | None) -> None:
    prover.world.microsoft.id_claims = {"wids": [GLOBAL], "tid": tid}
    await prover.refused("another directory")


async def test_an_id_token_of_another_directory_or_key_proves_nothing(prover: Prover) -> None:
    microsoft = prover.world.microsoft
    fabrikam = microsoft.named("fabrikam").id
    for claims in (
        {"iss": f"https://login.microsoftonline.com/{fabrikam}/v2.0", "tid": fabrikam},
        {"aud": OPERATORS},
        {"nonce": "another"},
        {"oid": None},
        {"exp": 1},
    ):
        microsoft.id_claims = {"wids": [GLOBAL], **claims}
        await prover.refused()
    microsoft.id_claims, microsoft.id_key = {"wids": [GLOBAL]}, "fabrikam"
    await prover.refused()


def access_token(prover: Prover, **claims: Any) -> dict[str, Any]:
    """What the token endpoint gives, with an access token for our own application."""
    usual = {"wids": [PRIVILEGED], **claims}
    return {"access_token": prover.world.microsoft.mint("api", app=OURS, claims=usual)}


async def test_the_roles_may_stand_in_the_access_token_alone(prover: Prover) -> None:
    microsoft = prover.world.microsoft
    microsoft.id_claims, microsoft.token = {}, access_token(prover)
    assert (await prover.prove()).status == 302
    assert (await prover.claim())["proof"] == "sign-in"
    assert (await prover.last())["role"] == "Privileged Role Administrator"


async def test_an_access_token_that_is_not_ours_or_not_theirs_says_nothing(prover: Prover) -> None:
    microsoft = prover.world.microsoft
    microsoft.id_claims = {}
    people = microsoft.named("contoso").people
    forged = microsoft.mint("api", app=OURS, claims={"wids": [GLOBAL]}, key_of="fabrikam")
    for given in (
        {"access_token": microsoft.mint("graph", app=OURS, claims={"wids": [GLOBAL]})},
        {"access_token": forged},
        {"access_token": microsoft.mint("api", "fabrikam", "mallory", app=OURS, claims={"wids": [GLOBAL]})},
        access_token(prover, oid=people["bob"].oid),
        access_token(prover, azp=OPERATORS),
        access_token(prover, exp=1),
        {"access_token": "opaque"},
    ):
        microsoft.token = given
        await prover.refused("groupMembershipClaims")


async def test_consent_alone_proves_nothing(prover: Prover) -> None:
    """What Microsoft's page for consent redirects with is text that anybody can write."""
    for query in (
        f"admin_consent=True&tenant={prover.directory}",
        f"admin_consent=True&tenant={prover.directory}&state=x",
        f"code=x&tenant={prover.directory}&state=",
    ):
        check_nobody_got_in(await prover.browser.send("GET", f"{CALLBACK}?{query}"))
    check_success(await prover.begin())
    state = query_of(_as_reply(await prover.begin()))["state"]
    address = f"{CALLBACK}?state={state}&admin_consent=True&tenant={prover.directory}"
    check_nobody_got_in(await prover.browser.send("GET", address))
    assert (await prover.claim())["state"] == "pending"


def _as_reply(reply: Reply) -> Reply:
    reply.headers["location"] = check_success(reply)["location"]
    return reply


async def test_an_administrator_who_was_sent_the_address_proves_nothing(prover: Prover) -> None:
    """Their browser has no cookie of ours."""
    check_nobody_got_in(await prover.prove(browser=Browser(prover.app)))
    assert (await prover.claim())["state"] == "pending"


async def test_an_answer_counts_once(prover: Prover) -> None:
    started = check_success(await prover.begin())
    back = prover.world.microsoft.visit(started["location"])
    cookies = dict(prover.browser.cookies)
    assert (await prover.browser.send("GET", back)).status == 302
    prover.browser.cookies = cookies
    check_nobody_got_in(await prover.browser.send("GET", back))


async def test_an_answer_that_comes_too_late(prover: Prover) -> None:
    started = check_success(await prover.begin())
    back = prover.world.microsoft.visit(started["location"])
    prover.app.clock.advance(600)
    check_nobody_got_in(await prover.browser.send("GET", back))
    assert (await prover.claim())["state"] == "pending"


async def test_who_declines_proves_nothing(prover: Prover) -> None:
    prover.world.microsoft.refuses = "access_denied"
    await prover.refused()


async def test_the_answer_of_another_flow_proves_nothing(prover: Prover) -> None:
    """A code that was given for another redirect address is not redeemed, and a sign-in is no proof."""
    started = check_success(await prover.begin())
    ours = query_of(_as_reply(await prover.begin()))
    elsewhere = started["location"].replace("directory%2Fcallback", "ms-dynamics%2Fcallback")
    assert elsewhere != started["location"]
    code = prover.world.microsoft.visit(elsewhere).partition("code=")[2].partition("&")[0]
    check_nobody_got_in(await prover.browser.send("GET", f"{CALLBACK}?state={ours['state']}&code={code}"))
    assert (await prover.claim())["state"] == "pending"


@pytest.mark.parametrize("what", ["signed out", "Viewer by now", "deactivated", "suspended", "released"])
async def test_what_changes_meanwhile(prover: Prover, what: str) -> None:
    started = check_success(await prover.begin())
    app, me = prover.app, prover.admin
    if what == "signed out":
        await app.post("/api/client/auth/sign-out", token=me.token)
    elif what == "Viewer by now":
        await member(app, prover.client, "Admin")
        await set_roles(app, prover.client, me.id, "Viewer")
    elif what == "deactivated":
        await member(app, prover.client, "Admin")
        await act_on(app, f"{prover.client}/users/{me.id}/deactivate")
    elif what == "suspended":
        await act_on(app, f"{prover.client}/suspend")
    else:
        path = f"/api/client/directories/{prover.directory}"
        check_success(await app.send("DELETE", path, token=me.token))
    check_nobody_got_in(await prover.browser.send("GET", prover.world.microsoft.visit(started["location"])))
    path = f"/api/admin/clients/{prover.client}/directories/{prover.directory}"
    found = await app.get(path, token=await app.admin_token())
    assert found.status == 404 if what == "released" else found.data["state"] == "pending"


async def test_a_second_client_is_told_that_the_directory_is_held(prover: Prover) -> None:
    world = prover.world
    other = await prover_of(world)
    assert (await prover.prove()).status == 302
    await other.refused("Another client of this installation holds this directory", status=409, code="CONFLICT")
    assert (await prover.claim())["state"] == "proved"
    assert prover.client not in (await other.last())["why"]


async def test_of_two_that_prove_at_once_one_is_the_owner(prover: Prover) -> None:
    import asyncio

    world = prover.world
    provers = [prover, *[await prover_of(world) for _ in range(3)]]
    world.microsoft.delay = {"token": 0.2}
    replies = await asyncio.gather(*[one.prove() for one in provers])
    assert sorted(reply.status for reply in replies) == [302, 409, 409, 409]
    states = [(await one.claim())["state"] for one in provers]
    assert sorted(states) == ["pending", "pending", "pending", "proved"]


async def test_it_may_be_proved_again_and_after_a_word(prover: Prover) -> None:
    await directory_counts(prover.app, prover.client, prover.directory)
    assert (await prover.claim())["proof"] == "vouched"
    for user in ("alice", "bob"):
        assert (await prover.prove(user)).status == 302
        assert (await prover.claim())["provedBy"] == prover.world.microsoft.named("contoso").people[user].oid


async def test_a_return_address_is_a_listed_one(prover: Prover) -> None:
    for address in ("https://evil.example/", f"{RETURN_TO}x"):
        check_refusal(await prover.begin(returnTo=address), 400, "VALIDATION_ERROR")
    assert (await prover.prove()).headers["location"] == RETURN_TO


async def test_a_request_from_another_site_begins_nothing(prover: Prover) -> None:
    """It is guarded as every request is that a cookie signs."""
    path, headers = f"/api/client/directories/{prover.directory}/prove", {"Origin": "https://evil.example"}
    reply = await prover.app.send("POST", path, {}, cookie=prover.admin.cookie, headers=headers)
    check_refusal(reply, 403, "FORBIDDEN")
    assert "set-cookie" not in reply.headers
    assert check_success(await prover.app.send("POST", path, {}, cookie=prover.admin.cookie))["client"] == prover.client


async def test_without_an_application_it_says_what_is_missing(world: World) -> None:
    prover = await prover_of(world, secret=None)
    error = check_refusal(await prover.begin(), 409, "CONFLICT")
    assert "MANIFEST_MICROSOFT_APP_ID" in error["message"]
    check_refusal(await (await other_directory(prover)).begin(), 409, "CONFLICT")


async def other_directory(prover: Prover) -> Prover:
    """The client claims fabrikam too, of which it has no provider."""
    which = prover.world.microsoft.named("fabrikam").id
    await prover.app.post("/api/client/directories", {"directory": which}, token=prover.admin.token)

    class Other(Prover):
        directory = which

    return Other(prover.world, prover.client, prover.admin, prover.browser)


async def test_while_microsoft_is_away(prover: Prover) -> None:
    started = check_success(await prover.begin())
    back = prover.world.microsoft.visit(started["location"])
    prover.world.microsoft.delay = {"token": 4}
    check_refusal(await prover.browser.send("GET", back), 502, "PROVIDER_UNAVAILABLE")
    assert (await prover.claim())["state"] == "pending"


async def test_a_provider_that_is_switched_off_lends_no_application(prover: Prover) -> None:
    started = check_success(await prover.begin())
    await prover.world.providers[-1].act("switch-off")
    check_nobody_got_in(await prover.browser.send("GET", prover.world.microsoft.visit(started["location"])))
    check_refusal(await prover.begin(), 409, "CONFLICT")


@pytest.fixture
async def hosted(database_url: str) -> AsyncIterator[World]:
    """An installation whose operator has an application of its own."""
    app = {"MANIFEST_MICROSOFT_APP_ID": OPERATORS, "MANIFEST_MICROSOFT_APP_SECRET": "operators-secret"}
    async with world_on(database_url, **app) as world:
        world.microsoft.login.registrations[OPERATORS] = Registration("operators-secret", [CALLBACK])
        world.microsoft.id_claims = {"wids": [GLOBAL], "aud": OPERATORS}
        yield world
        await world.clear()


async def test_the_operators_application_serves_all_clients(hosted: World) -> None:
    prover = await prover_of(hosted, secret=None)
    assert check_success(await prover.begin())["application"] == OPERATORS
    assert (await prover.prove()).status == 302
    assert (await prover.claim())["proof"] == "sign-in"
    [redeemed] = [asked for asked in hosted.microsoft.asked if asked.endpoint == "token"]
    assert (redeemed.form["client_id"], redeemed.form["client_secret"]) == (OPERATORS, "operators-secret")


async def test_the_verifier_fits_the_challenge(prover: Prover) -> None:
    challenge = query_of(_as_reply(await prover.begin()))["code_challenge"]
    started = check_success(await prover.begin())
    await prover.browser.send("GET", prover.world.microsoft.visit(started["location"]))
    [redeemed] = [asked for asked in prover.world.microsoft.asked if asked.endpoint == "token"]
    digest = hashlib.sha256(redeemed.form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() in started["location"]
    assert challenge not in started["location"]
