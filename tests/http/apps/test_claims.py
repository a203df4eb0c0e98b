"""Claims about the last profile change, and about whether the address was verified."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import pytest

from tests.http.apps.relying import relying, told
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.domain_claims import vouch_for
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.people import Member, member
from tests.support.rows import change_rows
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, add_oidc
from tests.support.visitor import Page, Visitor


@pytest.fixture
async def client(app: App) -> str:
    """A client for one test."""
    return await new_client(app)


async def _renamed(app: App, client: str, who: Member) -> None:
    path = f"/api/admin/clients/{client}/users/{who.id}"
    check_success(await app.send("PATCH", path, {"lastName": "Other"}, token=await app.admin_token()))


async def _speaks_german(app: App, client: str, who: Member) -> None:
    check_success(await app.send("PATCH", "/api/client/auth/me", {"language": "de"}, token=who.token))


@matrix("change", [_renamed, _speaks_german])
async def test_apps_get_the_time_of_the_last_profile_change(
    app: App, client: str, change: Callable[[App, str, Member], Awaitable[None]]
) -> None:
    web = await relying(app, client, scopes=["openid", "profile"])
    created, person, visitor = app.clock.ms // 1000, await member(app, client), Visitor(app)
    app.clock.advance(100)
    before = await web.tokens(visitor, person.email, scope="openid profile")
    assert (await web.claims(before["id_token"]))["updated_at"] == created
    await change(app, client, person)
    changed = app.clock.ms // 1000
    app.clock.advance(100)
    check_success(await app.send("PATCH", "/api/client/auth/me", {"title": ""}, token=person.token))
    after = await web.tokens(visitor, scope="openid profile")
    assert (await web.claims(after["id_token"]))["updated_at"] == changed
    assert (await web.userinfo(before["access_token"])).json["updated_at"] == changed
    assert "updated_at" in (await app.get(f"{web.path}/.well-known/openid-configuration")).json["claims_supported"]


async def _by_nothing(app: App, client: str, who: Member) -> None:
    """Do nothing."""


async def _by_mail(app: App, client: str, who: Member) -> None:
    await change_rows(app, "users", {"id": who.id}, email_proved_at=1)


async def _by_its_domain(app: App, client: str, who: Member) -> None:
    await vouch_for(app, client, who.email.partition("@")[2])


@rule("APP-TOKENS")
@matrix(("way", "is_verified"), [(_by_nothing, False), (_by_mail, True), (_by_its_domain, True)])
async def test_an_address_is_verified_by_mail_and_by_its_domain(
    app: App, client: str, way: Callable[[App, str, Member], Awaitable[None]], is_verified: bool
) -> None:
    web = await relying(app, client, scopes=["openid", "email"])
    person, visitor = await member(app, client), Visitor(app)
    await way(app, client, person)
    got = await web.tokens(visitor, person.email, scope="openid email")
    assert (await web.claims(got["id_token"]))["email_verified"] is is_verified


@rule("APP-TOKENS")
async def test_an_admin_who_confirms_an_identity_verifies_no_address(app: App, client: str, op: Op) -> None:
    await add_oidc(app, op, client, vouch=False)
    web, browser = await relying(app, client, scopes=["openid", "email"]), Browser(app)
    asked = await browser.send("GET", f"{web.path}/authorize?{urlencode(web.request(scope='openid email'))}")
    page = Page(await browser.send("GET", asked.headers["location"]))
    [start] = [href for href in page.links().values() if "/auth/oidc?" in href]
    started = await browser.send("GET", start)
    back = await browser.send("GET", op.visit(started.headers["location"]))
    got = (await web.redeem(told(Page(await browser.send("GET", back.headers["location"]))))).json
    claims = await web.claims(got["id_token"])
    path, admin = f"/api/admin/clients/{client}/users/{claims['sub']}/identities", await app.admin_token()
    [identity] = check_success(await app.get(path, token=admin))["items"]
    check_success(await app.post(f"{path}/{identity['id']}/confirm", token=admin))
    info = (await web.userinfo(got["access_token"])).json
    assert (claims["email_verified"], info["email_verified"]) == (False, False)


@rule("APP-CODES")
async def test_a_request_for_one_user_issues_no_code_for_another(app: App, client: str) -> None:
    web = await relying(app, client)
    person, other, visitor = await member(app, client), await member(app, client), Visitor(app)
    hint = (await web.tokens(visitor, person.email))["id_token"]
    for who, answer in ((person.id, "code"), (other.id, "error")):
        one, some = {"sub": {"value": str(who)}}, {"sub": {"values": ["0", str(who)]}}
        for part in ({"id_token": one}, {"id_token": some}, {"userinfo": one}, {"userinfo": some}):
            for more in ({}, {"id_token_hint": hint}):
                assert answer in told(await web.authorize(visitor, claims=json.dumps(part), **more)), part
    two = {"id_token": {"sub": {"value": str(person.id)}}, "userinfo": {"sub": {"value": str(other.id)}}}
    for nobody in (json.dumps(two), '{"id_token":{"sub":{"values":[]}}}', '{"id_token":{"sub":{"value":""}}}'):
        assert told(await web.authorize(visitor, claims=nobody))["error"] == "login_required"
    right = json.dumps({"id_token": {"sub": {"values": [str(person.id)]}}})
    for user in (person, other):  # nobody is signed in yet
        got = told(await web.sign_in(Visitor(app), user.email, claims=right))
        assert ("code" in got) == (user is person), got
    for wrong in ('{"id_token":{"sub":{"value":7}}}', '{"id_token":[]}', '{"id_token":{"acr":"mfa"}}'):
        assert told(await web.authorize(visitor, claims=wrong))["error"] == "invalid_request"


async def test_user_info_names_the_tokens_fault(app: App, client: str) -> None:
    web = await relying(app, client, scopes=["openid", "email"])
    person, visitor = await member(app, client), Visitor(app)
    got = await web.tokens(visitor, person.email, scope="email")
    assert "id_token" not in got
    for token, status, error in (("x", 401, "invalid_token"), (got["access_token"], 403, "insufficient_scope")):
        reply = await web.userinfo(token)
        assert (reply.status, reply.json["error"]) == (status, error)
        assert reply.headers["www-authenticate"].startswith(f'Bearer error="{error}"')
    assert (await app.get(f"{web.path}/userinfo")).headers["www-authenticate"] == "Bearer"
