"""A session derived from another one through "Continue as …" inherits from it and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.http.badges.test_two_nodes import felt
from tests.http.sign_in.continued import (
    AUTH,
    LISTED,
    Child,
    asked,
    child_of,
    code_for,
    exchange,
    id_of,
    is_open,
    pressed,
    signed_in,
)  # fmt: skip
from tests.http.step_up.sensitive_acts import ACTS
from tests.support.accounts import Keys, act_on, opened_by, settle, trail
from tests.support.application import PASSWORD, App, running
from tests.support.badges import badge_client
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.second_factors import OWN, REQUIRED, Person, person
from tests.support.single_sign_on import Browser, act_on_provider, add_oidc
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.settings(MANIFEST_RATE_LIMITS="off")

DAY, MINUTE = 86_400, 60
NEW = "another-harbor-22-violet"


async def begins_anew(page: Page, visitor: Visitor) -> Page:
    """Complete a whole sign-in again, with no step skipped."""
    assert page.location.startswith("/sign-in?s="), page.location
    assert "step" not in visitor.cookies
    page = await visitor.follow(page)
    assert "/sign-in/password" in [form.action for form in page.forms()]
    return page


@rule("SESSION-FROM-SESSION")
async def test_an_old_cookie_enrolls_nothing_where_a_factor_is_required_by_now(app: App) -> None:
    ada, _, thief = await signed_in(app)
    app.clock.advance(3 * DAY)
    await settle(app, ada.client, **REQUIRED, **LISTED)
    page = await begins_anew(await pressed(thief, ada.client), thief)
    page = await thief.submit(page, "/sign-in/password", email=ada.email, password=PASSWORD)
    assert page.location.startswith("/sign-in/enrol?s=")  # for a user who has the password, and is asked for it


@rule("SESSION-FROM-SESSION")
async def test_a_code_of_the_factor_makes_no_old_proof_new(app: App) -> None:
    """A password entered days ago and a code entered now aren't two current factors, just as for re-authentication."""
    ada, keys, visitor = await signed_in(app, secondFactor={"policy": "optional", "trustedDays": 30})
    await ada.enrol(keys.token)
    trust = await ada.trusted()
    reply = await ada.sign_in(cookies=f"trust={trust}")
    visitor = Visitor(app, {"session": reply.cookie("session"), "trust": trust})
    app.clock.advance(3 * DAY)
    me = (await app.me((await child_of(visitor, ada.client))["token"])).data["session"]
    assert me["amr"] == ["pwd", "trusted"]
    del visitor.cookies["trust"]
    await begins_anew(await pressed(visitor, ada.client), visitor)


@rule("SESSION-FROM-SESSION")
async def test_a_badge_gives_an_app_nothing(app: App) -> None:
    factory = await badge_client(app)
    await settle(app, factory.client, badge={"enabled": True}, **LISTED)
    ada, kiosk = await factory.person("Operator", "Author"), await factory.device()
    reply = await kiosk.sign_in(ada.badge)
    visitor = Visitor(app, {"session": reply.cookie("session")})
    await begins_anew(await pressed(visitor, factory.client), visitor)
    forms = (await asked(visitor, factory.client)).forms()
    assert "/sign-in/done" not in [form.action for form in forms]
    assert (await app.me(reply.data["token"])).status == 200


@rule("SESSION-FROM-SESSION")
async def test_a_session_of_days_ago_is_as_old_in_an_app_and_enrolls_no_factor(app: App, op: Op) -> None:
    ada = await person(app, **LISTED)
    await add_oidc(app, op, ada.client, name="idp")
    op.claims = {"auth_time": None}
    browser = Browser(app)
    await browser.sign_in_oidc(op, "idp", ada.client)
    assert (await browser.send("POST", f"{OWN}/totp")).status == 201
    app.clock.advance(3 * DAY)
    visitor = Visitor(app, {"session": browser.cookies["session"]})
    child = await child_of(visitor, ada.client)
    for options in ({"token": child["token"]}, {"cookie": browser.cookies["session"]}):
        for path in (f"{OWN}/totp", f"{AUTH}/passkeys/options"):
            assert (await app.post(path, **options)).status == 403
    times = {
        (await app.me(**one)).data["session"]["signedInAt"]
        for one in ({"token": child["token"]}, {"cookie": browser.cookies["session"]})
    }
    assert len(times) == 1
    await act_on_provider(app, ada.client, "idp", "switch-off")
    assert not await is_open(app, child)


@rule("SESSION-FROM-SESSION")
async def test_an_app_enrolls_no_factor_however_new_the_proof_is(app: App) -> None:
    ada, keys, visitor = await signed_in(app)
    child = await child_of(visitor, ada.client)
    check_success(await app.post(f"{AUTH}/reauthenticate", {"password": PASSWORD}, token=child["token"]))
    of_factors = [act for act in ACTS if act.level == "first"]
    assert len(of_factors) >= 10
    for act in of_factors:
        check_refusal(await app.send(act.method, act.path, act.body, token=child["token"]), 403, "FORBIDDEN")
    assert (await app.post(f"{OWN}/totp", token=keys.token)).status == 201


@rule("SESSION-FROM-SESSION")
async def test_the_end_of_a_session_does_not_move(app: App) -> None:
    ada, _, visitor = await signed_in(app, sessions={"maxSeconds": 60 * MINUTE})
    app.clock.advance(59 * MINUTE)
    child = await child_of(visitor, ada.client)
    fresh = check_success(await app.refresh(child["refreshToken"]))
    app.clock.advance(MINUTE - 0.001)
    assert (await app.me(fresh["token"])).status == 200
    app.clock.advance(0.001)
    assert (await app.me(fresh["token"])).status == 401
    assert (await app.refresh(fresh["refreshToken"])).status == 401
    ada, keys, visitor = await signed_in(app)
    app.clock.advance(30 * MINUTE)
    child = await child_of(visitor, ada.client)
    await settle(app, ada.client, sessions={"maxSeconds": 20 * MINUTE}, **LISTED)
    assert not await is_open(app, child)
    assert await opened_by(app, keys) == []


@rule("PENDING-SIGN-INS")
async def test_the_page_that_hands_a_code_out_gives_no_other_one_without_pkce(app: App) -> None:
    ada, _, visitor = await signed_in(app)
    handing = await pressed(visitor, ada.client)
    page = await visitor.get(f"/sign-in?client={ada.client}")
    page = await visitor.submit(page, "/sign-in/done", s=parse_qs(urlsplit(handing.location).query)["s"][0])
    [address] = (await visitor.get(page.location)).links().values()
    given = {"code": parse_qs(urlsplit(address).query)["code"][0]}
    check_refusal(await app.post(f"{AUTH}/exchange", given), 401, "SSO_FAILED")


@rule("SESSION-FROM-SESSION")
@matrix("after", ["its press", "its exchange"])
async def test_a_code_dies_with_its_session(app: App, after: str) -> None:
    ada, keys, visitor = await signed_in(app)
    code = await code_for(visitor, ada.client)
    if after == "its exchange":
        child: Child = check_success(await exchange(app, code))
        code = await code_for(visitor, ada.client)
        assert await is_open(app, child)
    check_success(await app.post(f"{AUTH}/sign-out", cookie=keys.cookie))
    check_refusal(await exchange(app, code), 401, "SSO_FAILED")
    if after == "its exchange":
        assert not await is_open(app, child)


End = Callable[[Person, Keys, Visitor], Awaitable[Any]]


async def _in_the_list(ada: Person, keys: Keys, visitor: Visitor) -> None:
    own, other = await id_of(ada.app, keys.token), await ada.token()
    check_success(await ada.app.send("DELETE", f"{AUTH}/sessions/{own}", token=other))


async def _by_an_admin(ada: Person, keys: Keys, visitor: Visitor) -> None:
    path = f"/api/admin/clients/{ada.client}/sessions/{await id_of(ada.app, keys.token)}"
    check_success(await ada.app.send("DELETE", path, token=await ada.app.admin_token()))


async def _all_of_the_client(ada: Person, keys: Keys, visitor: Visitor) -> None:
    path = f"/api/admin/clients/{ada.client}/sessions"
    check_success(await ada.app.send("DELETE", path, token=await ada.app.admin_token()))


async def _by_a_new_password(ada: Person, keys: Keys, visitor: Visitor) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    check_success(await ada.app.post(f"{AUTH}/password", body, token=await ada.token()))


async def _by_deactivation(ada: Person, keys: Keys, visitor: Visitor) -> None:
    await act_on(ada.app, f"{ada.client}/users/{ada.id}/deactivate")
    await act_on(ada.app, f"{ada.client}/users/{ada.id}/restore")


async def _by_another_sign_in(ada: Person, keys: Keys, visitor: Visitor) -> None:
    check_success(await ada.sign_in(cookies=f"session={keys.cookie}"))


async def _by_theft(ada: Person, keys: Keys, visitor: Visitor) -> None:
    for _ in range(2):
        ada.app.clock.advance(MINUTE)
        child = (await ada.app.refresh(keys.refresh_token)).json
    await ada.app.refresh(child["refreshToken"])
    ada.app.clock.advance(MINUTE)
    check_refusal(await ada.app.refresh(keys.refresh_token), 401, "INVALID_TOKEN")


async def _everywhere(ada: Person, keys: Keys, visitor: Visitor) -> None:
    check_success(await ada.app.post(f"{AUTH}/sign-out-all", token=await ada.token()))


async def _all_others(ada: Person, keys: Keys, visitor: Visitor) -> None:
    check_success(await ada.app.post(f"{AUTH}/sign-out-others", token=await ada.token()))


#: The reason that system admins read.
ENDS: dict[End, str] = {
    _in_the_list: "ended",
    _by_an_admin: "ended_by_admin",
    _all_of_the_client: "ended_by_admin",
    _by_a_new_password: "password_changed",
    _by_deactivation: "user_deactivated",
    _by_another_sign_in: "replaced",
    _by_theft: "refresh_token_reused",
    _everywhere: "signed_out_all",
    _all_others: "signed_out_all",
}


@rule("SESSION-FROM-SESSION")
@matrix(("end", "reason"), ENDS.items(), ids=lambda one: one if isinstance(one, str) else one.__name__.strip("_"))
async def test_it_ends_with_the_session_that_it_came_from(app: App, end: End, reason: str) -> None:
    ada, keys, visitor = await signed_in(app)
    child, code = await child_of(visitor, ada.client), await code_for(visitor, ada.client)
    assert await is_open(app, child)
    own = await id_of(app, keys.token)
    await end(ada, keys, visitor)
    assert await opened_by(app, keys) == []
    assert not await is_open(app, child)
    check_refusal(await exchange(app, code), 401, "SSO_FAILED")
    assert await reason_of(app, ada.client, own) == reason


async def reason_of(app: App, client: str, session: str) -> str:
    path = f"/api/admin/clients/{client}/sessions?state=over&first=100"
    items = check_success(await app.get(path, token=await app.admin_token()))["items"]
    [reason] = [one["endReason"] for one in items if one["id"] == session]
    return str(reason)


async def test_its_own_end_leaves_the_session_that_it_came_from(app: App) -> None:
    ada, keys, visitor = await signed_in(app)
    child, other = await child_of(visitor, ada.client), await child_of(visitor, ada.client)
    own, of_child = await id_of(app, keys.token), await id_of(app, child["token"])
    [begun] = [one.members for one in await trail(app, ada.client) if one.members.get("session") == of_child]
    assert begun == {"method": "password", "session": of_child, "amr": ["pwd"], "parent": own}
    check_success(await app.post(f"{AUTH}/sign-out", token=child["token"]))
    assert not await is_open(app, child)
    assert await reason_of(app, ada.client, of_child) == "signed_out"
    assert await is_open(app, other)
    assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]


@rule("SESSION-FROM-SESSION")
@matrix("of", ["the browser", "the app"])
@matrix("act", ["sign-out-others", "password"])
async def test_who_ends_all_others_ends_what_came_from_them(app: App, act: str, of: str) -> None:
    """This includes the acting session, if it was derived from one of the others."""
    ada, keys, visitor = await signed_in(app)
    child = await child_of(visitor, ada.client)
    token = keys.token if of == "the browser" else child["token"]
    body = {"currentPassword": PASSWORD, "newPassword": NEW} if act == "password" else None
    check_success(await app.post(f"{AUTH}/{act}", body, token=token))
    assert not await is_open(app, child)
    assert bool(await opened_by(app, keys)) is (of == "the browser")


@rule("SESSION-FROM-SESSION")
async def test_the_exchange_touches_no_cookie(app: App) -> None:
    """Whether the app's server exchanges it without cookies, or the app in the browser with the session's cookie."""
    ada, keys, visitor = await signed_in(app)
    for options in ({}, {"cookie": keys.cookie}):
        reply = await exchange(app, await code_for(visitor, ada.client), **options)
        assert "set-cookie" not in reply.headers
        assert await is_open(app, check_success(reply))
        assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]


@rule("SESSION-FROM-SESSION")
async def test_each_of_both_proves_again_for_itself(app: App) -> None:
    ada, keys, visitor = await signed_in(app)
    child = await child_of(visitor, ada.client)
    before = (await app.me(child["token"])).data["session"]["authenticatedAt"]
    app.clock.advance(10 * MINUTE)
    later = await child_of(visitor, ada.client)
    for one in (child, later):
        assert (await app.me(one["token"])).data["session"]["authenticatedAt"] == before
        refused = await app.send("DELETE", f"{AUTH}/identities/1", token=one["token"])
        check_refusal(refused, 403, "REAUTHENTICATION_REQUIRED")
    check_success(await app.post(f"{AUTH}/reauthenticate", {"password": PASSWORD}, token=child["token"]))
    for token, at in ((child["token"], app.clock.now_ms()), (later["token"], None), (keys.token, None)):
        found = (await app.me(token)).data["session"]["authenticatedAt"]
        assert (found == before) is (at is None)


@pytest.fixture
async def other(app: App) -> AsyncIterator[App]:
    async with running(app.database) as node:
        node.goes_by_the_clock_of(app)
        yield node


@rule("SESSION-FROM-SESSION")
async def test_its_end_is_felt_on_the_other_node(app: App, other: App) -> None:
    ada, keys, visitor = await signed_in(app)
    child = await child_of(visitor, ada.client)
    assert (await other.me(child["token"])).status == 200
    check_success(await app.post(f"{AUTH}/sign-out", token=keys.token))
    await felt(other, child["token"])
