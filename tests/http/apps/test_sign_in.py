"""A user signs in to an app through the issuer of their client."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.http.apps.relying import Relying, back_channel, parts, relying, told
from tests.support.accounts import new_client, settle, trail
from tests.support.application import PASSWORD, App
from tests.support.background_jobs import soon
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.people import member, set_roles
from tests.support.rows import rows
from tests.support.rules import rule
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import Browser, add_oidc, add_saml, query_of, request_of
from tests.support.visitor import Page, Visitor

ALL = "openid profile email roles"
OFFLINE = f"{ALL} offline_access"
SCOPES = OFFLINE.split()


@pytest.fixture
async def client(app: App) -> str:
    """A client for one test."""
    return await new_client(app)


async def test_discovery_is_complete_and_exists_for_clients_with_apps(app: App, client: str) -> None:
    resource = f"/.well-known/oauth-protected-resource/o/{client}"
    for path in (f"/o/{client}/.well-known/openid-configuration", f"/o/{client}/jwks", "/o/none/jwks", resource):
        assert (await app.get(path)).status == 404
    web = await relying(app, client)
    found = (await app.get(f"/o/{client}/.well-known/openid-configuration")).json
    assert found == (await app.get(f"/.well-known/oauth-authorization-server/o/{client}")).json
    assert found["issuer"] == web.issuer
    header = {"bearer_methods_supported": ["header"]}  # RFC 9728: the server itself doesn't name any issuer
    of_client = {"resource": web.issuer, "authorization_servers": [web.issuer], **header}
    assert (await app.get(resource)).json == of_client
    of_server = (await app.get("/.well-known/oauth-protected-resource")).json
    assert of_server == {"resource": web.issuer.removesuffix(web.path), **header}
    endpoints = {
        "authorization": "authorize", "token": "token", "userinfo": "userinfo", "revocation": "revoke",
        "introspection": "introspect", "end_session": "logout",
    }  # fmt: skip
    for name, endpoint in endpoints.items():
        assert found[f"{name}_endpoint"] == f"{web.issuer}/{endpoint}"
    assert (found["code_challenge_methods_supported"], found["response_types_supported"]) == (["S256"], ["code"])
    keys = (await app.get(f"/o/{client}/jwks")).json["keys"]
    assert sorted((key["alg"], "d" in key) for key in keys) == [("ES256", False), ("RS256", False)]
    access = (await app.get("/.well-known/jwks.json")).json["keys"]
    assert not {key["kid"] for key in keys} & {key["kid"] for key in access}


@matrix("algorithm", ["RS256", "ES256"])
async def test_a_sign_in_from_the_start_to_user_info(app: App, client: str, algorithm: str) -> None:
    web = await relying(app, client, scopes=SCOPES, idTokenAlgorithm=algorithm)
    person, visitor = await member(app, client, "Author"), Visitor(app)
    app.clock.advance(1)
    page = await web.sign_in(visitor, person.email, scope=ALL)
    answer = told(page)
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("a state", web.issuer)
    assert page.tree.xpath("//meta[@http-equiv='refresh']")
    reply = await web.redeem(answer)
    assert reply.status == 200, reply.text
    assert reply.headers["cache-control"] == "no-store"
    got = reply.json
    assert got.keys() == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert (got["expires_in"], got["scope"]) == (900, ALL)
    assert parts(got["id_token"])[0]["alg"] == algorithm
    claims, now = await web.claims(got["id_token"]), app.clock.ms // 1000
    assert {name: claims[name] for name in ("iss", "sub", "aud", "azp", "nonce", "acr", "amr", "auth_time", "exp")} == {
        "iss": web.issuer, "sub": str(person.id), "aud": web.id, "azp": web.id, "nonce": "a nonce", "acr": "pwd",
        "amr": ["pwd"], "auth_time": now, "exp": now + 300,
    }  # fmt: skip
    assert (claims["email"], claims["email_verified"], claims["roles"]) == (person.email, False, ["Author"])
    info = (await web.userinfo(got["access_token"])).json
    assert info == {name: claims[name] for name in info}
    assert info.keys() == {"sub", "client", "updated_at", "email", "email_verified", "roles"}
    events = [one.event for one in await trail(app, client)]
    assert events[-1] == "app_authorized"
    again = await web.tokens(visitor)  # a signed-in user isn't asked for anything
    other = await web.claims(again["id_token"])
    assert (other["auth_time"], other.get("email")) == (claims["auth_time"], None)
    assert other["sid"] != claims["sid"]
    assert [one.event for one in await trail(app, client)].count("app_authorized") == 1  # once an hour
    [(used,)] = await rows(app, "app_grants", "last_used_at", app_id=web.id)
    for seconds in (59, 1):  # once a minute
        app.clock.advance(seconds)
        await web.tokens(visitor)
        used += 60_000 if seconds == 1 else 0
        assert await rows(app, "app_grants", "last_used_at", app_id=web.id) == [(used,)]


async def test_the_profile_scope_includes_names(app: App) -> None:
    web = await relying(app, "acme", scopes=SCOPES)
    got = await web.tokens(Visitor(app), "author@acme.example", scope="openid profile")
    told_of = (await web.userinfo(got["access_token"])).json
    assert told_of == {
        "sub": str(app.ids["author@acme.example"]), "client": "acme", "name": "Author Tester", "given_name": "Author",
        "family_name": "Tester", "updated_at": told_of["updated_at"],
    }  # fmt: skip


async def test_answers_by_form_and_requests_by_form(app: App, client: str) -> None:
    web = await relying(app, client)
    person, visitor = await member(app, client), Visitor(app)
    page = await web.sign_in(visitor, person.email, response_mode="form_post", state='"><b>')
    assert told(page).keys() == {"code", "state", "iss"}
    assert told(page)["state"] == '"><b>'
    assert "form-action https:;" in page.reply.headers["content-security-policy"]
    elsewhere = {"Origin": "https://reports.example", "Sec_Fetch_Site": "cross-site"}
    posted = await visitor.post(f"{web.path}/authorize", web.request(), **elsewhere)
    assert (posted.status, posted.location.startswith(f"{web.path}/authorize?s=")) == (303, True)
    assert (await web.redeem(told(await visitor.follow(posted)))).status == 200


@rule("APP-TOKENS")
async def test_an_access_token_opens_what_was_granted_and_no_more(app: App, client: str) -> None:
    web = await relying(app, client, scopes=["openid", "templates:read", "users:manage"])
    person, visitor = await member(app, client, "Viewer"), Visitor(app)
    plain = (await web.tokens(visitor, person.email))["access_token"]
    able = (await web.tokens(visitor, scope="openid templates:read users:manage"))["access_token"]
    templates, me = "{ templatesPage(first: 1) { total } }", "{ me { email } }"
    for token, route, status in (
        (plain, "/api/client/auth/me", 403), (able, "/api/client/auth/me", 403), (able, "/api/client/apps", 403),
        (able, "/api/client/settings", 403), (plain, "/api/client/auth/sessions", 403),
        (able, "/api/client/auth/sessions", 403), (able, "/api/client/auth/second-factors", 403),
    ):  # fmt: skip
        assert (await app.get(route, token=token)).status == status, route
    for query in (templates, "{ __typename }"):
        assert (await app.graphql(query, plain)).refusal == "FORBIDDEN", query
        assert (await app.graphql(query, able)).refusal == "", query
    assert (await app.graphql(me, able)).refusal == "FORBIDDEN"
    assert (await app.graphql("{ usersPage(first: 1) { total } }", able)).refusal == "FORBIDDEN"  # not requested
    assert (await app.post("/api/client/auth/sign-out", token=able)).status == 403
    assert (await web.userinfo(able)).status == 200


async def test_the_audit_trail_names_the_app_that_acted_for_a_user(app: App, client: str) -> None:
    web = await relying(app, client, scopes=["openid", "users:manage"])
    person, visitor = await member(app, client, "Admin"), Visitor(app)
    other = await member(app, client)
    token = (await web.tokens(visitor, person.email, scope="openid users:manage"))["access_token"]
    for title, by in (("Dr", token), ("Prof", person.token)):
        change = f'mutation {{ updateUser(id: {other.id}, input: {{title: "{title}"}}) {{ id }} }}'
        assert (await app.graphql(change, by)).refusal == ""
    by_app, by_hand = [one for one in await trail(app, client) if one.event == "user_changed"]
    assert by_app.actor == by_hand.actor == f"user:{person.id}"
    assert (by_app.members["by_app"], by_hand.members.get("by_app")) == (web.id, None)
    assert (await app.get("/api/client/settings", token=token)).status == 403
    refused = (await trail(app, client))[-1]
    assert (refused.event, refused.members["by_app"]) == ("access_refused", web.id)


async def _signs_out(web: Relying, visitor: Visitor, email: str) -> None:
    await visitor.submit(await visitor.get("/sign-out"), "/sign-out")


async def _signs_in_again(web: Relying, visitor: Visitor, email: str) -> None:
    visitor.app.clock.advance(1)
    assert "code" in told(await web.sign_in(visitor, email, prompt="login"))


@matrix("leaves", [_signs_out, _signs_in_again])
async def test_it_ends_with_the_browsers_session(
    app: App, client: str, leaves: Callable[[Relying, Visitor, str], Awaitable[None]]
) -> None:
    web = await relying(app, client, scopes=SCOPES)
    person, visitor = await member(app, client), Visitor(app)
    page = await web.sign_in(visitor, person.email)
    token = (await web.redeem(told(page))).json["access_token"]
    kept = await web.tokens(visitor, scope=OFFLINE)
    assert (await web.userinfo(token)).status == 200
    await leaves(web, visitor, person.email)
    assert (await web.userinfo(token)).status == 401
    assert (await web.userinfo(kept["access_token"])).status == 200  # the user allowed it to stay
    renewed = await web.refresh(kept["refresh_token"])
    assert renewed.status == 200, renewed.text
    first, second = [await web.claims(one["id_token"]) for one in (kept, renewed.json)]
    assert (first["auth_time"], first["sid"], first["email"]) == (second["auth_time"], second["sid"], second["email"])
    await app.send("PATCH", f"/api/admin/clients/{client}/apps/{web.id}", {"scopes": ["openid"]},
                   token=await app.admin_token())  # fmt: skip
    assert (await web.refresh(renewed.json["refresh_token"])).json["error"] == "invalid_grant"


async def _ended_from_elsewhere(app: App, token: str, given: Any) -> None:
    path = f"/api/client/auth/sessions/{parts(given['token'])[1]['sid']}"
    check_success(await app.send("DELETE", path, token=token))


async def _refreshed_by_two(app: App, token: str, given: Any) -> None:
    later = check_success(await app.refresh(given["refreshToken"]))["refreshToken"]
    check_success(await app.refresh(later))
    app.clock.advance(11)
    assert (await app.refresh(given["refreshToken"])).status == 401


@rule("APP-TOKENS")
@matrix("ends", [_ended_from_elsewhere, _refreshed_by_two])
async def test_sessions_from_a_suspect_session_end_with_it(
    app: App, client: str, ends: Callable[[App, str, Any], Awaitable[None]]
) -> None:
    """A thief of that session can have the refresh token too."""
    web = await relying(app, client, scopes=SCOPES)
    person = await member(app, client)
    reply = await app.sign_in(person.email, client=client)
    visitor = Visitor(app, cookies={"session": reply.cookie("session")})
    kept = await web.tokens(visitor, scope=OFFLINE)
    await ends(app, person.token, reply.data)
    assert told(await web.authorize(visitor, prompt="none"))["error"] == "login_required"
    assert (await web.refresh(kept["refresh_token"])).json["error"] == "invalid_grant"
    assert (await web.userinfo(kept["access_token"])).status == 401


async def test_an_app_is_notified_of_a_sign_out(app: App, client: str) -> None:
    with back_channel() as channel:
        web = await relying(app, client, backchannelLogoutUri=channel.uri)
        person, visitor = await member(app, client), Visitor(app)
        got = await web.tokens(visitor, person.email)
        await visitor.submit(await visitor.get("/sign-out"), "/sign-out")

        async def heard() -> list[str]:
            return [parts(token)[1]["sid"] for token in channel.heard]

        await soon(heard, [parts(got["id_token"])[1]["sid"]])


async def test_a_refresh_can_narrow_the_scope_but_never_extend_it(app: App, client: str) -> None:
    web = await relying(app, client, scopes=[*SCOPES, "templates:read", "jobs:read"])
    person, visitor = await member(app, client), Visitor(app)
    got = await web.tokens(visitor, person.email, scope="openid offline_access templates:read jobs:read")
    less = (await web.refresh(got["refresh_token"], scope="openid jobs:read")).json
    assert less["scope"] == "openid jobs:read"
    templates = "{ templatesPage(first: 1) { total } }"
    assert (await app.graphql(templates, less["access_token"])).refusal == "FORBIDDEN"
    assert (await app.graphql(templates, got["access_token"])).refusal == ""
    for more in ("openid email", "openid templates:edit", "openid nothing"):
        assert (await web.refresh(less["refresh_token"], scope=more)).json["error"] == "invalid_scope"
    whole = (await web.refresh(less["refresh_token"])).json
    assert whole["scope"] == got["scope"]
    reused = await web.refresh(got["refresh_token"])
    assert reused.status == 200  # within ten seconds
    app.clock.advance(11)
    assert (await web.refresh(got["refresh_token"])).json["error"] == "invalid_grant"
    assert (await web.refresh(whole["refresh_token"])).json["error"] == "invalid_grant"  # someone has a copy
    assert (await web.userinfo(whole["access_token"])).status == 401


async def test_a_browser_apps_refresh_token_always_rotates_and_lives_a_day(app: App, client: str) -> None:
    spa = await relying(app, client, "browser", scopes=SCOPES, allowedOrigins=["https://reports.example"])
    person, visitor = await member(app, client), Visitor(app)
    got = await spa.tokens(visitor, person.email, scope=OFFLINE)
    fresh = (await spa.refresh(got["refresh_token"])).json
    app.clock.advance(11)
    assert (await spa.refresh(got["refresh_token"])).json["error"] == "invalid_grant"
    assert (await spa.refresh(fresh["refresh_token"])).json["error"] == "invalid_grant"
    got = await spa.tokens(visitor, scope=OFFLINE)
    app.clock.advance(24 * 3600)
    assert (await spa.refresh(got["refresh_token"])).json["error"] == "invalid_grant"
    for path in ("jwks", "token", "userinfo", "revoke", ".well-known/openid-configuration"):
        asked = {"Origin": "https://reports.example", "Access-Control-Request-Method": "GET"}
        method = "POST" if path in ("token", "revoke") else "GET"
        asked["Access-Control-Request-Method"] = method
        reply = await app.send("OPTIONS", f"{spa.path}/{path}", headers=asked)
        assert reply.headers.get("access-control-allow-origin") == "https://reports.example", path
        assert "access-control-allow-credentials" not in reply.headers
        asked["Origin"] = "https://elsewhere.example"
        assert (
            "access-control-allow-origin"
            not in (await app.send("OPTIONS", f"{spa.path}/{path}", headers=asked)).headers
        )


@rule("APP-CONSENT")
async def test_consent_is_asked_once_and_again_for_more(app: App, client: str) -> None:
    partner = await relying(app, client, scopes=SCOPES, consent=True)
    person, visitor = await member(app, client), Visitor(app)
    page = await partner.sign_in(visitor, person.email)
    assert "Identify you" in page.text
    assert told(await partner.authorize(visitor, prompt="none"))["error"] == "consent_required"
    action = f"{partner.path}/consent"
    unanswered = await visitor.post(action, page.form(action, act="approve").fields | {"act": ""})
    assert (unanswered.status, unanswered.location.startswith(f"{partner.path}/authorize?")) == (303, True)
    page = await visitor.follow(unanswered)
    no = await visitor.submit(page, action, {"act": "decline"})
    assert (told(no)["error"], no.heading) == ("access_denied", "You're not signed in to the app")
    page = await visitor.follow(await partner.authorize(visitor))
    yes, again = [await visitor.post(action, page.form(action, act="approve").fields) for _ in range(2)]
    assert yes.location == again.location  # clicked twice
    once, reloaded = [await visitor.get(yes.location) for _ in range(2)]
    assert (await partner.redeem(told(once))).status == 200
    assert "Identify you" in reloaded.text  # the code was used, so it starts again
    silent = await partner.authorize(visitor, prompt="none")
    assert (await partner.redeem(told(silent))).status == 200
    page = await visitor.follow(await partner.authorize(visitor, scope=ALL))
    assert "View your email address" in page.text
    forged = page.form(action, act="approve").fields | {"form": "A" * 60}
    assert (await visitor.post(action, forged)).status == 403
    elsewhere = await visitor.post(action, page.form(action, act="approve").fields, Origin="https://evil.example")
    assert elsewhere.status == 403
    frame = page.reply.headers
    assert (frame["x-frame-options"], "frame-ancestors 'none'" in frame["content-security-policy"]) == ("DENY", True)
    events = [one.event for one in await trail(app, client)]
    assert [events.count(name) for name in ("app_refused", "consent_given", "app_authorized")] == [1, 1, 1]
    app.clock.advance(1)
    assert (await partner.redeem(told(await visitor.submit(page, action, {"act": "approve"})))).status == 200
    events = [one.event for one in await trail(app, client)]
    assert [events.count(name) for name in ("app_refused", "consent_given", "app_authorized")] == [1, 2, 2]
    admin = Visitor(app, {"session": (await member(app, client, "Admin")).cookie})
    sentences = (await admin.get("/console/audit")).text
    for sentence in ("can't use App web", "gave App web access", "signed in to App web"):
        assert f"{person.email} {sentence}" in sentences


async def test_a_session_with_another_client_stays(app: App, client: str) -> None:
    here, elsewhere = await relying(app, client), await new_client(app)
    person, other = await member(app, client), await member(app, elsewhere)
    visitor = Visitor(app, cookies={"session": other.cookie})
    page = await here.sign_in(visitor, person.email)
    got = (await here.redeem(told(page))).json
    assert (await here.claims(got["id_token"]))["sub"] == str(person.id)
    account = await visitor.get("/account")
    assert other.email in account.text
    assert "code" in told(await here.authorize(visitor, prompt="none"))
    third = await relying(app, elsewhere)
    got = await third.tokens(visitor)
    assert (await third.claims(got["id_token"]))["sub"] == str(other.id)


async def _by_page(visitor: Visitor) -> None:
    await visitor.submit(await visitor.get("/sign-out"), "/sign-out")


async def _by_api(visitor: Visitor) -> None:
    assert (await visitor.send("POST", "/api/client/auth/sign-out")).status == 200


async def _as_another_person(visitor: Visitor) -> None:
    email = (await member(visitor.app, await new_client(visitor.app))).email
    body = json.dumps({"email": email, "password": PASSWORD}).encode()
    reply = await visitor.send("POST", "/api/client/auth/sign-in", content=body, Content_Type="application/json")
    assert reply.status == 200


@rule("APP-CODES")
@matrix("ends", [_by_page, _by_api, _as_another_person])
async def test_nobody_can_use_apps_as_the_previous_person(
    app: App, client: str, ends: Callable[[Visitor], Awaitable[None]]
) -> None:
    """Users of two clients share a browser."""
    here, there = await relying(app, client), await relying(app, await new_client(app))
    visitor = Visitor(app, cookies={"session": (await member(app, await new_client(app))).cookie})
    people = [await member(app, web.client) for web in (here, there)]
    got = [await web.tokens(visitor, person.email) for web, person in zip((here, there), people, strict=True)]
    for web in (here, there):
        assert "code" in told(await web.authorize(visitor, prompt="none"))
    await ends(visitor)
    for web, before in zip((here, there), got, strict=True):
        assert (await web.userinfo(before["access_token"])).status == 401
        assert told(await web.authorize(visitor, prompt="none"))["error"] == "login_required"
    for web, person in zip((here, there), people, strict=True):
        out = [(one.actor, one.subject) for one in await trail(app, web.client) if one.event == "signed_out"]
        assert out == ([(f"user:{person.id}",) * 2] if ends is not _as_another_person else [])


async def test_the_browser_keeps_all_sessions_that_it_uses(app: App, client: str) -> None:
    web, short = await relying(app, client), await relying(app, await new_client(app))
    await settle(app, short.client, sessions={"idleSeconds": 3600})
    visitor = Visitor(app, cookies={"session": (await member(app, await new_client(app))).cookie})

    def kept(page: Page) -> set[str]:
        lines = page.reply.headers.get_list("set-cookie")
        return {line.partition("=")[0] for line in lines if "Max-Age=604800;" in line and "device" not in line}

    for one in (web, short):
        page = await visitor.follow(await one.authorize(visitor))
        email = (await member(app, one.client)).email
        assert kept(await visitor.submit(page, "/sign-in/password", email=email, password=PASSWORD)) == {"app"}
    app.clock.advance(1800)
    page = await short.authorize(visitor, prompt="none")
    assert ("code" in told(page), "app" in kept(page)) == (True, True)  # the other client's session needs it
    app.clock.advance(6 * 86_400)
    page = await web.authorize(visitor, prompt="none")
    assert ("code" in told(page), kept(page)) == (True, {"session", "app"})


async def test_the_browsers_session_precedes_one_for_apps(app: App, client: str) -> None:
    web, person = await relying(app, client), await member(app, client)
    planted = {"app": (await member(app, client)).cookie}  # set by another host of the site
    got = await web.tokens(Visitor(app, cookies={"session": person.cookie, **planted}))
    assert (await web.claims(got["id_token"]))["sub"] == str(person.id)


async def test_a_reload_at_the_end_gives_the_app_another_code(app: App, client: str) -> None:
    web, visitor = await relying(app, client), Visitor(app)
    page = await visitor.follow(await web.authorize(visitor))
    email = (await member(app, client)).email
    typed = await visitor.submit(page, "/sign-in/password", email=email, password=PASSWORD)
    for _ in range(2):
        assert (await web.redeem(told(await visitor.follow(typed)))).status == 200


@rule("APP-CODES")
@matrix("asked", ["prompt=login", "max_age=0", "prompt=login select_account", "max_age=60"])
async def test_a_newer_sign_in_is_required_and_verified(app: App, client: str, asked: str) -> None:
    web = await relying(app, client)
    person, visitor = await member(app, client), Visitor(app)
    name, _, value = asked.partition("=")
    await web.sign_in(visitor, person.email)
    app.clock.advance(61)
    first = await web.authorize(visitor, **{name: value})
    assert first.location.startswith("/sign-in?s=")
    page = await visitor.follow(first)
    back = f"{web.path}/authorize?s="
    assert "Sign in" in page.title
    assert (await visitor.get(f"{back}{'A' * 80}")).status == 404  # foreign values aren't passed on
    app.clock.advance(5)
    entered = await web.enter(visitor, page, person.email)
    claims = await web.claims((await web.redeem(told(entered))).json["id_token"])
    assert claims["auth_time"] == app.clock.ms // 1000
    app.clock.advance(61)
    assert told(await web.authorize(visitor, prompt="none", max_age="60"))["error"] == "login_required"
    assert "code" in told(await web.authorize(visitor, prompt="none", max_age="3600"))


@rule("APP-CODES")
@matrix("asked", ["prompt=login", "max_age=3600"])
async def test_a_provider_must_sign_in_again_and_report_the_time(app: App, client: str, op: Op, asked: str) -> None:
    await add_oidc(app, op, client)
    web, (name, _, value) = await relying(app, client), asked.partition("=")

    async def answered(auth_time: int | None) -> dict[str, str]:
        op.claims = {"auth_time": auth_time}
        visitor = Visitor(app)
        page = await visitor.follow(await web.authorize(visitor, **{name: value}))
        [start] = [href for text, href in page.links().items() if text.startswith("Continue with ")]
        browser = Browser(app, visitor.cookies)
        started = await browser.send("GET", start)
        assert (query_of(started)["prompt"], query_of(started)["max_age"]) == ("login", "0")
        back = await browser.send("GET", op.visit(started.headers["location"]))
        app.clock.ms += 1
        return told(await visitor.get(back.headers["location"]))

    assert (await answered(None))["error"] == "login_required"
    app.clock.ms += 1500 - app.clock.ms % 1000
    if name == "prompt":
        assert (await answered(app.clock.ms // 1000 - 1))["error"] == "login_required"
    assert "code" in await answered(app.clock.ms // 1000)  # in the same second


@rule("APP-CODES")
async def test_a_saml_provider_must_sign_in_again(app: App, client: str) -> None:
    await add_saml(app, Idp(issuer=f"https://{client}.example/saml"), client)
    web, visitor = await relying(app, client), Visitor(app)
    for asked, forced in (({}, None), ({"prompt": "login"}, "true"), ({"max_age": "60"}, "true")):
        page = await visitor.follow(await web.authorize(visitor, **asked))
        [start] = [href for text, href in page.links().items() if text.startswith("Continue with ")]
        request, _ = request_of(await Browser(app, visitor.cookies).send("GET", start))
        assert request.get("ForceAuthn") == forced, asked


async def test_only_users_with_a_role_can_use_the_app(app: App, client: str) -> None:
    web = await relying(app, client, roles=["Publisher"])
    person, visitor = await member(app, client, "Viewer"), Visitor(app)
    page = await web.sign_in(visitor, person.email)
    assert page.status == 403
    assert page.heading == "You can't use this app"
    [back] = [href for text, href in page.links().items() if text == "Go back to the app"]
    assert told(await visitor.get(back))["error"] == "access_denied"
    assert told(await web.authorize(visitor, prompt="none"))["error"] == "access_denied"
    refused = [one for one in await trail(app, client) if one.event == "app_refused"]
    assert [one.members["why"] for one in refused] == ["role", "role"]
    await set_roles(app, client, person.id, "Viewer", "Publisher")
    code = told(await web.authorize(visitor))
    await set_roles(app, client, person.id, "Viewer")
    assert (await web.redeem(code)).json["error"] == "invalid_grant"


async def test_a_disabled_user_sees_an_error_and_returns(app: App, client: str) -> None:
    web = await relying(app, client)
    person, visitor = await member(app, client), Visitor(app)
    path = f"/api/admin/clients/{client}/users/{person.id}/deactivate"
    assert (await app.post(path, token=await app.admin_token())).status == 200
    page = await web.sign_in(visitor, person.email)
    assert page.heading == "This account is deactivated"
    [back] = [href for text, href in page.links().items() if text == "Go back to the app"]
    assert told(await visitor.get(back))["error"] == "access_denied"
