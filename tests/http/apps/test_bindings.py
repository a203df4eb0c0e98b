"""Requests, codes, and tokens are bound to the client, the browser, the user, and the app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.http.apps.relying import CALLBACK, Relying, parts, relying, told
from tests.support.accounts import new_client
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.people import Member, member, set_roles
from tests.support.rules import rule
from tests.support.second_factors import enrolled
from tests.support.visitor import Visitor

OFFLINE = "openid offline_access"
SCOPES = [*OFFLINE.split(), "templates:read"]


@pytest.fixture
async def client(app: App) -> str:
    """A client for one test."""
    return await new_client(app)


# Everything that ends an app's access invalidates both of its tokens.


async def _by_admin(app: App, method: str, path: str, body: object = None) -> None:
    check_success(await app.send(method, path, body, token=await app.admin_token()))


async def _password_change(app: App, web: Relying, person: Member) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "quite another long phrase 47"}
    check_success(await app.post("/api/client/auth/password", body, token=person.token))


async def _deactivation(app: App, web: Relying, person: Member) -> None:
    await _by_admin(app, "POST", f"/api/admin/clients/{web.client}/users/{person.id}/deactivate")


async def _admin_gained(app: App, web: Relying, person: Member) -> None:
    await set_roles(app, web.client, person.id, "Admin")


async def _end_by_an_admin(app: App, web: Relying, person: Member) -> None:
    await _by_admin(app, "DELETE", f"/api/admin/clients/{web.client}/users/{person.id}/sessions")


async def _suspension(app: App, web: Relying, person: Member) -> None:
    path = f"/api/admin/clients/{web.client}"
    await _by_admin(app, "POST", f"{path}/suspend")
    await _by_admin(app, "POST", f"{path}/restore")


async def _removal_of_the_app(app: App, web: Relying, person: Member) -> None:
    await _by_admin(app, "DELETE", f"/api/admin/clients/{web.client}/apps/{web.id}")


async def _removal_by_the_user(app: App, web: Relying, person: Member) -> None:
    visitor = Visitor(app, cookies={"session": person.cookie})
    await visitor.submit(await visitor.get("/account/apps"), "/account/apps")


async def _sign_out_everywhere(app: App, web: Relying, person: Member) -> None:
    check_success(await app.post("/api/client/auth/sign-out-all", token=person.token))


@rule("APP-ENDS")
@matrix(
    "ends",
    [_password_change, _deactivation, _admin_gained, _end_by_an_admin, _suspension, _removal_of_the_app,
     _removal_by_the_user, _sign_out_everywhere],
)  # fmt: skip
async def test_both_tokens_and_a_pending_code_of_an_app_end(
    app: App, client: str, ends: Callable[[App, Relying, Member], Awaitable[None]]
) -> None:
    web, person, visitor = await relying(app, client, scopes=SCOPES), await member(app, client), Visitor(app)
    got = await web.tokens(visitor, person.email, scope=OFFLINE)
    code = told(await web.authorize(visitor, prompt="none", scope=OFFLINE))
    assert (await web.userinfo(got["access_token"])).status == 200
    await ends(app, web, person)
    assert (await web.userinfo(got["access_token"])).status == 401
    for refused in (await web.refresh(got["refresh_token"]), await web.redeem(code)):
        assert refused.json["error"] == ("invalid_client" if ends is _removal_of_the_app else "invalid_grant")


# Nothing that belongs to one client, app, browser, or user works for another.


@rule("APP-REQUESTS")
async def test_an_app_of_another_issuer_gets_an_error_page(app: App, client: str) -> None:
    web, foreign = await relying(app, client), await relying(app, await new_client(app))
    made = {"name": "Headset", "kind": "device"}
    base = f"/api/admin/clients/{client}/apps"
    device = check_success(await app.post(base, made, token=await app.admin_token()), 201)["id"]
    visitor = Visitor(app, cookies={"session": (await member(app, client)).cookie})
    for client_id in (foreign.id, device, "app_" + "A" * 22, "", "'--"):
        for more in ({}, {"prompt": "none"}):
            page = await web.authorize(visitor, client_id=client_id, **more)
            assert (page.status, "location" in page.reply.headers) == (400, False), client_id
        out = f"{web.path}/logout?client_id={client_id}&post_logout_redirect_uri={CALLBACK}"
        page = await visitor.follow(await visitor.get(out))
        assert "location" not in page.reply.headers, client_id
        assert CALLBACK not in page.links().values(), client_id


@rule("APP-REQUESTS")
async def test_a_sealed_request_continues_only_at_its_own_issuer(app: App, client: str) -> None:
    web, foreign = await relying(app, client), await relying(app, await new_client(app))
    sealed = (await Visitor(app).post(f"{web.path}/authorize", web.request())).location
    assert sealed.startswith(f"{web.path}/authorize?s=")
    elsewhere = sealed.replace(web.path, foreign.path)
    assert (await Visitor(app).get(elsewhere)).status == 404
    assert (await Visitor(app).get(elsewhere.replace("/authorize", "/consent"))).status == 404
    app.clock.advance(3601)
    assert (await Visitor(app).get(sealed)).status == 404


@rule("APP-REQUESTS")
async def test_a_hint_works_only_for_its_user_and_app(app: App, client: str) -> None:
    web, other = await relying(app, client), await relying(app, client)
    person, visitor = await member(app, client), Visitor(app)
    got = await web.tokens(visitor, person.email)
    hint = got["id_token"]
    app.clock.advance(3600)  # the hint has expired, but not the session
    assert "code" in told(await web.authorize(visitor, prompt="none", id_token_hint=hint))
    theirs = Visitor(app, cookies={"session": (await member(app, client)).cookie})
    assert told(await web.authorize(theirs, prompt="none", id_token_hint=hint))["error"] == "login_required"
    assert told(await other.authorize(visitor, prompt="none", id_token_hint=hint))["error"] == "invalid_request"
    foreign = await relying(app, await new_client(app))
    elsewhere = (await foreign.tokens(Visitor(app), (await member(app, foreign.client)).email))["id_token"]
    for wrong in (elsewhere, got["access_token"]):
        assert told(await web.authorize(visitor, prompt="none", id_token_hint=wrong))["error"] == "invalid_request"


@rule("APP-CODES")
async def test_concurrent_redemptions_of_a_code_end_its_session(app: App, client: str) -> None:
    web, person, visitor = await relying(app, client), await member(app, client), Visitor(app)
    code = told(await web.sign_in(visitor, person.email))
    replies = await asyncio.gather(*(web.redeem(code) for _ in range(4)))
    answered = [reply for reply in replies if reply.status != 503]  # a busy machine can't process all of them in time
    good = [reply for reply in answered if reply.status == 200]
    assert len(good) == 1
    assert {reply.json["error"] for reply in answered if reply.status != 200} <= {"invalid_grant"}
    assert (await web.redeem(code)).json["error"] == "invalid_grant"
    assert (await web.userinfo(good[0].json["access_token"])).status == 401
    assert "code" in told(await web.authorize(visitor, prompt="none"))


@rule("APP-CODES")
async def test_a_trusted_browser_is_no_second_factor(app: App) -> None:
    person = await enrolled(app)
    web = await relying(app, person.client, secondFactor=True)
    visitor = Visitor(app, cookies={"trust": await person.trusted()})
    plain = await relying(app, person.client)
    assert "code" in told(await plain.sign_in(visitor, person.email))  # this browser only asks for the password
    assert told(await web.authorize(visitor, prompt="none"))["error"] == "interaction_required"
    page = await web.sign_in(visitor, person.email)
    assert [form for form in page.forms() if "otp" in form.fields], page.title


@rule("APP-TOKENS")
async def test_secrets_of_apps_cannot_be_guessed(app: App, client: str) -> None:
    web, other = await relying(app, client), await relying(app, client)
    wrong = Relying(app, client, web.id, other.secret)
    statuses = [(await wrong.post("token", grant_type="refresh_token", refresh_token="x")).status for _ in range(60)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    app.clock.advance(3600)


# Parameters of the response, and their recipients.


@rule("APP-CODES")
async def test_a_url_with_a_code_is_not_cached_or_forwarded(app: App, client: str) -> None:
    web, person, visitor = await relying(app, client), await member(app, client), Visitor(app)
    done = await web.sign_in(visitor, person.email)
    for page in (done, await web.authorize(visitor), await web.authorize(visitor, response_mode="form_post")):
        assert "code" in told(page)
        assert page.reply.headers["referrer-policy"] in ("no-referrer", "same-origin")
        assert page.reply.headers["cache-control"] == "no-store"
        if page.status == 200:
            assert page.reply.headers["x-frame-options"] == "DENY"
    asked = await visitor.follow(await visitor.get(f"{web.path}/logout"))
    assert asked.heading
    assert (asked.reply.headers["x-frame-options"], asked.status) == ("DENY", 200)
    assert "frame-ancestors 'none'" in asked.reply.headers["content-security-policy"]


@rule("APP-REQUESTS")
@matrix("endpoint", ["authorize", "introspect", "logout", "consent", "sign-out"])
async def test_scripts_of_an_app_cannot_read_other_endpoints(app: App, client: str, endpoint: str) -> None:
    origin = "https://reports.example"
    spa = await relying(app, client, "browser", allowedOrigins=[origin])
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET", "POST"):
        reply = await app.send(method, f"{spa.path}/{endpoint}", headers=asked)
        assert "access-control-allow-origin" not in reply.headers, method


async def test_a_hint_at_the_address_and_a_language_reach_the_page(app: App, client: str) -> None:
    web = await relying(app, client)
    page = await Visitor(app).follow(
        await web.authorize(Visitor(app), login_hint="ada@hinted.example", ui_locales="de")
    )
    assert page.tree.get("lang") == "de"
    visitor = Visitor(app)
    page = await visitor.follow(await web.authorize(visitor, login_hint="ada@hinted.example"))
    assert "ada@hinted.example" in [form.fields.get("email") for form in page.forms()]
    for hint in ('"><script>alert(1)</script>', "Call +1 555 0100 now", "a@b.example\r\nSet-Cookie: x=y"):
        visitor = Visitor(app)
        page = await visitor.follow(await web.authorize(visitor, login_hint=hint))
        assert page.status == 200
        assert not {"alert(1)", "555 0100", "x=y"} & {text for text in ("alert(1)", "555 0100", "x=y")
                                                      if text in page.reply.text}  # fmt: skip


async def test_omitted_parameters_are_omitted_from_responses(app: App, client: str) -> None:
    web = await relying(app, client, accessTokenSeconds=120)
    person, visitor = await member(app, client), Visitor(app)
    answer = told(await web.sign_in(visitor, person.email, state=None, nonce=None))
    assert answer.keys() == {"code", "iss"}
    got = (await web.redeem(answer)).json
    assert "nonce" not in parts(got["id_token"])[1]
    assert got["expires_in"] == 120
    posted = await app.post(f"{web.path}/userinfo", token=got["access_token"])
    assert posted.json == (await web.userinfo(got["access_token"])).json
    app.clock.advance(121)
    for token in (got["access_token"], "nonsense"):
        refused = await web.userinfo(token)
        assert refused.status == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    nobody = await app.get(f"{web.path}/userinfo")
    assert nobody.status == 401
    assert "error=" not in nobody.headers["www-authenticate"]
    page = await visitor.follow(await web.authorize(visitor, prompt="consent"))
    assert page.form(f"{web.path}/consent", act="approve")  # asked, although the app doesn't require consent
    await _by_admin(app, "POST", f"/api/admin/clients/{client}/suspend")
    assert (await app.get(f"{web.path}/.well-known/openid-configuration")).status == 404
