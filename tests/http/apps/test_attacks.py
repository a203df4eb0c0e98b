"""Attacks on a client's issuer (RFC 9700, sections 2 and 4; OpenID Connect Core, section 16)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from tests.http.apps.relying import CALLBACK, VERIFIER, Relying, relying, told
from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.client_assertions import BROKEN, Maker, ec_key, public_set
from tests.support.forged_tokens import OF_APPS, Purpose, claims_of, every_purpose, minted, signed
from tests.support.matrix import matrix
from tests.support.oauth_callers import ASSERTION_TYPE, basic, form, machine
from tests.support.people import Member, member
from tests.support.rows import change_rows
from tests.support.rules import rule
from tests.support.visitor import Visitor

OFFLINE = "openid offline_access"


@pytest.fixture(autouse=True)
def _forgotten(app: App) -> None:
    """Reset the rate limits of earlier failures."""
    app.clock.advance(2 * 3600)


@pytest.fixture(scope="module")
async def client(app: App) -> str:
    return await new_client(app)


@pytest.fixture(scope="module")
async def web(app: App, client: str) -> Relying:
    return await relying(app, client, scopes=["openid", "offline_access", "templates:read"])


@pytest.fixture(scope="module")
async def other(app: App, client: str) -> Relying:
    return await relying(app, client, scopes=["openid", "offline_access", "templates:read"])


@pytest.fixture(scope="module")
async def foreign(app: App) -> Relying:
    return await relying(app, await new_client(app))


@pytest.fixture(scope="module")
async def keyed(app: App, client: str) -> Relying:
    """An app that signs its requests."""
    return await relying(app, client, jwks=public_set(ec_key()))


class Where(NamedTuple):
    """Redirect URIs of an app, and a similar one that an attacker sends."""

    listed: str
    shown: str


OTHER_ADDRESSES = {
    "case of the host": Where(CALLBACK, "https://Reports.example/callback"),
    "case of the scheme": Where(CALLBACK, "HTTPS://reports.example/callback"),
    "case of the path": Where(CALLBACK, "https://reports.example/Callback"),
    "port": Where(CALLBACK, "https://reports.example:443/callback"),
    "another port": Where(CALLBACK, "https://reports.example:8443/callback"),
    "plain http": Where(CALLBACK, "http://reports.example/callback"),
    "longer path": Where(CALLBACK, "https://reports.example/callback/more"),
    "slash": Where(CALLBACK, "https://reports.example/callback/"),
    "dots": Where(CALLBACK, "https://reports.example/a/../callback"),
    "encoded": Where(CALLBACK, "https://reports.example/%63allback"),
    "query": Where(CALLBACK, "https://reports.example/callback?x=1"),
    "empty query": Where(CALLBACK, "https://reports.example/callback?"),
    "fragment": Where(CALLBACK, "https://reports.example/callback#x"),
    "user": Where(CALLBACK, "https://reports.example@evil.example/callback"),
    "user of ours": Where(CALLBACK, "https://evil.example@reports.example/callback"),
    "subdomain": Where(CALLBACK, "https://evil.reports.example/callback"),
    "longer domain": Where(CALLBACK, "https://reports.example.evil.example/callback"),
    "backslash": Where(CALLBACK, "https://evil.example\\.reports.example/callback"),
    "look-alike": Where(CALLBACK, "https://rеports.example/callback"),
    "dot at the end": Where(CALLBACK, "https://reports.example./callback"),
    "blank": Where(CALLBACK, " https://reports.example/callback"),
    "two": Where(CALLBACK, "https://reports.example/callback https://evil.example/"),
    "script": Where(CALLBACK, "javascript:alert(1)"),
    "no scheme": Where(CALLBACK, "//reports.example/callback"),
    "none": Where(CALLBACK, ""),
    "loopback of a web app": Where("http://127.0.0.1:8000/cb", "http://127.0.0.1:8001/cb"),
}


@rule("APP-REQUESTS")
@matrix("where", OTHER_ADDRESSES.values(), ids=OTHER_ADDRESSES)
async def test_unlisted_addresses_get_nothing(app: App, web: Relying, where: Where) -> None:
    attacked = web if where.listed == web.callback else await relying(app, web.client, callback=where.listed)
    visitor = Visitor(app, cookies={"session": (await member(app, web.client)).cookie})
    for more in ({}, {"prompt": "none"}, {"response_type": "token"}, {"response_mode": "form_post"}):
        page = await attacked.authorize(visitor, redirect_uri=where.shown or None, **more)
        assert page.status == 400
        assert "location" not in page.reply.headers
        assert "evil.example" not in page.reply.text


@rule("APP-REQUESTS")
@matrix("client", ["a;Path=", "a,b", "A", "a_b", "1", "a=b", "a%0D%0AX:%20b"])
async def test_an_invalid_client_name_is_never_reflected(app: App, client: str) -> None:
    visitor = Visitor(app, cookies={"session": (await member(app, await new_client(app))).cookie})
    for endpoint in ("authorize", "authorize?s=A", "logout", "sign-out", "consent", "jwks"):
        page = await visitor.get(f"/o/{client}/{endpoint}")
        assert (page.status, "location" in page.reply.headers) == (404, False), endpoint
    for endpoint in ("authorize", "logout", "token"):
        page = await visitor.post(f"/o/{client}/{endpoint}", {"client_id": "x"})
        assert (page.status, "location" in page.reply.headers) == (404, False), endpoint


async def test_a_native_apps_loopback_address_has_any_port(app: App, client: str) -> None:
    native = await relying(app, client, "native", callback="http://127.0.0.1:8400/cb")
    visitor = Visitor(app, cookies={"session": (await member(app, client)).cookie})
    app.clock.advance(1)
    page = await native.authorize(visitor, redirect_uri="http://127.0.0.1:49152/cb")
    assert page.location.startswith(f"{native.path}/consent?s=")  # any program on the machine can listen there
    silent = await native.authorize(visitor, redirect_uri="http://127.0.0.1:49152/cb", prompt="none")
    assert told(silent)["error"] == "interaction_required"
    for wrong in (
        "http://127.0.0.1:49152/cb/x",
        "http://localhost:8400/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1:8400.evil.example/cb",
        "https://127.0.0.1:8400/cb",
        "http://127.0.0.2:1/cb",
    ):
        assert (await native.authorize(visitor, redirect_uri=wrong)).status == 400, wrong


@rule("APP-CONSENT")
async def test_a_native_app_gets_nothing_without_confirmation(app: App, client: str) -> None:
    native = await relying(app, client, "native", callback="http://127.0.0.1:8400/cb")
    begun = (await Visitor(app).post(f"{native.path}/authorize", native.request())).location  # in any browser
    app.clock.advance(1)
    visitor, action = Visitor(app, cookies={"session": (await member(app, client)).cookie}), f"{native.path}/consent"
    page = await visitor.get(begun)  # after a newer sign-in
    assert page.location.startswith(f"{action}?s=")
    page = await visitor.follow(page)
    pressed = await visitor.submit(page, action, {"act": "approve"})
    assert (await native.redeem(told(pressed))).status == 200
    assert told(await native.authorize(visitor, prompt="none"))["error"] == "interaction_required"


@rule("APP-REQUESTS")
async def test_no_form_is_posted_to_a_private_scheme(app: App, client: str) -> None:
    """Browsers reject such posts, and the user would be stuck."""
    native = await relying(app, client, "native", callback="com.example.tool:/cb")
    for changes in ({}, {"prompt": "none"}, {"response_type": "token"}):
        page = await native.authorize(Visitor(app), response_mode="form_post", **changes)
        assert page.location.startswith("com.example.tool:/cb?error=invalid_request&"), changes


#: Requests with an error response to the app: the changed parameters, and the error.
REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "no PKCE": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "PKCE plain": ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
    "PKCE plain by default": ({"code_challenge_method": None}, "invalid_request"),
    "a short challenge": ({"code_challenge": "abc"}, "invalid_request"),
    "implicit": ({"response_type": "token"}, "unsupported_response_type"),
    "an ID token in the address": ({"response_type": "id_token"}, "unsupported_response_type"),
    "hybrid": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "no response type": ({"response_type": None}, "invalid_request"),
    "fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "an answer that is signed": ({"response_mode": "query.jwt"}, "invalid_request"),
    "an answer to a window": ({"response_mode": "web_message"}, "invalid_request"),
    "a request object": ({"request": "e30.e30."}, "request_not_supported"),
    "a request at an address": ({"request_uri": "https://evil.example/r"}, "request_uri_not_supported"),
    "registration": ({"registration": "{}"}, "registration_not_supported"),
    "a scope that the app has not": ({"scope": "openid users:manage"}, "invalid_scope"),
    "an unknown scope": ({"scope": "openid everything"}, "invalid_scope"),
    "prompts that exclude each other": ({"prompt": "none login"}, "invalid_request"),
    "an unknown prompt": ({"prompt": "create"}, "invalid_request"),
    "a wrong age": ({"max_age": "-1"}, "invalid_request"),
    "claims that are none": ({"claims": "[]"}, "invalid_request"),
    "a hint of someone else": ({"id_token_hint": "e30.e30.AAAA"}, "invalid_request"),
    "a nonce without end": ({"nonce": "n" * 600}, "invalid_request"),
}


@rule("APP-REQUESTS")
@matrix("case", REFUSED.values(), ids=REFUSED)
async def test_errors_are_sent_to_the_app_with_the_issuer(
    app: App, web: Relying, case: tuple[dict[str, str | None], str]
) -> None:
    changes, error = case
    for visitor in (Visitor(app), Visitor(app, cookies={"session": (await member(app, web.client)).cookie})):
        page = await web.authorize(visitor, **changes)
        assert page.location.startswith(f"{CALLBACK}?error="), page.location
        answer = told(page)
        assert (answer["error"], answer["state"], answer["iss"]) == (error, "a state", web.issuer)
        assert "code" not in answer


@rule("APP-REQUESTS")
@matrix("name", ["client_id", "redirect_uri", "state", "scope", "nonce", "code_challenge", "prompt", "response_mode"])
async def test_a_repeated_parameter_is_rejected(app: App, web: Relying, name: str) -> None:
    path = (await web.authorize(Visitor(app))).location
    assert path.startswith("/sign-in")
    pairs = [*web.request().items(), (name, web.request().get(name, "query"))]
    if name in ("prompt", "response_mode"):
        pairs.append((name, "none" if name == "prompt" else "form_post"))
    page = await Visitor(app).get(f"{web.path}/authorize?{urlencode(pairs)}")
    if name in ("client_id", "redirect_uri"):
        assert page.status == 400
    else:
        answer = told(page)
        assert (answer["error"], answer.get("state")) == ("invalid_request", None if name == "state" else "a state")


@rule("APP-REQUESTS")
async def test_token_and_logout_requests_reject_repeated_parameters(scene: Scene) -> None:
    s = scene
    for name in ("grant_type", "code", "redirect_uri", "code_verifier"):
        fields = {**_CODE, "code": s.code["code"]}
        twice = urlencode([*fields.items(), (name, fields[name])])
        reply = await form(s.app, f"{s.web.path}/token", twice, basic(s.web.id, s.web.secret))
        assert (reply.status, reply.json["error"]) == (400, "invalid_request"), name
    hint = f"id_token_hint={s.got['id_token']}"
    assert (await s.visitor.get(f"{s.web.path}/logout?{hint}&{hint}")).status == 400
    assert (await s.web.redeem(s.code)).status == 200  # nothing was used up


class Scene(NamedTuple):
    """Two clients with apps, and a user of the first one with everything that apps receive."""

    app: App
    web: Relying
    other: Relying
    foreign: Relying
    person: Member
    visitor: Visitor
    code: dict[str, str]
    got: Any


@pytest.fixture
async def scene(app: App, web: Relying, other: Relying, foreign: Relying) -> Scene:
    person, visitor = await member(app, web.client), Visitor(app)
    got = await web.tokens(visitor, person.email, scope=OFFLINE)
    code = told(await web.authorize(visitor))
    return Scene(app=app, web=web, other=other, foreign=foreign, person=person, visitor=visitor, code=code, got=got)


def _posted(by: str, endpoint: str, **fields: str) -> Callable[[Scene], Awaitable[Any]]:
    async def send(s: Scene) -> Any:
        known = {"refresh": s.got["refresh_token"], "access": s.got["access_token"], "id": s.got["id_token"], **s.code}
        filled = {name: known.get(value[1:], value) if value[:1] == "$" else value for name, value in fields.items()}
        return await getattr(s, by).post(endpoint, **filled)

    return send


_CODE = {"grant_type": "authorization_code", "code": "$code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
_REFRESH = {"grant_type": "refresh_token", "refresh_token": "$refresh"}


def _impostor(client_id: str, secret: str) -> Callable[[Scene], Awaitable[Any]]:
    async def send(s: Scene) -> Any:
        named = {"web": s.web, "other": s.other, "foreign": s.foreign}
        fields = {**_CODE, "code": s.code["code"]}
        header = basic(named[client_id].id, named[secret].secret)
        return await form(s.app, f"{s.web.path}/token", fields, header)

    return send


async def _without_secret(s: Scene) -> Any:
    return await form(s.app, f"{s.web.path}/token", {**_CODE, "code": s.code["code"], "client_id": s.web.id})


async def _at_the_old_exchange(s: Scene) -> Any:
    body = {"code": s.code["code"], "codeVerifier": VERIFIER}
    return await s.app.post("/api/client/auth/exchange", body)


async def _at_the_usual_refresh(s: Scene) -> Any:
    return await s.app.refresh(s.got["refresh_token"])


async def _by_a_service_account(s: Scene) -> Any:
    them = await machine(s.app, s.web.client, "exporter", mayIntrospect=True)
    return await form(s.app, f"{s.web.path}/token", {**_CODE, "code": s.code["code"]}, them.basic)


async def _at_the_token_endpoint_of_services(s: Scene) -> Any:
    fields = {"grant_type": "client_credentials"}
    return await form(s.app, "/oauth2/token", fields, basic(s.web.id, s.web.secret))


def _userinfo(token: str, at: str = "web") -> Callable[[Scene], Awaitable[Any]]:
    async def send(s: Scene) -> Any:
        shown = {"access": s.got["access_token"], "id": s.got["id_token"], "refresh": s.got["refresh_token"],
                 "own": s.person.token, "code": s.code["code"]}[token]  # fmt: skip
        return await getattr(s, at).userinfo(shown)

    return send


def _api(token: str) -> Callable[[Scene], Awaitable[Any]]:
    async def send(s: Scene) -> Any:
        return await s.app.me(s.got[token])

    return send


#: By attempt: the request, and its status.
ATTACKS: dict[str, tuple[Callable[[Scene], Awaitable[Any]], int]] = {
    "code injection: without its verifier": (_posted("web", "token", **{**_CODE, "code_verifier": ""}), 400),
    "code injection: another verifier": (_posted("web", "token", **{**_CODE, "code_verifier": "w" * 43}), 400),
    "code: another redirect address": (_posted("web", "token", **{**_CODE, "redirect_uri": f"{CALLBACK}2"}), 400),
    "code: no redirect address": (_posted("web", "token", **{**_CODE, "redirect_uri": ""}), 400),
    "code: of another app of the client": (_posted("other", "token", **_CODE), 400),
    "code: at another client's issuer": (_posted("foreign", "token", **_CODE), 400),
    "code: without the app's secret": (_without_secret, 401),
    "code: another app's secret": (_impostor("web", "other"), 401),
    "code: another client's app at this issuer": (_impostor("foreign", "foreign"), 401),
    "code: by a service account": (_by_a_service_account, 401),
    "code: at the exchange of sign-in codes": (_at_the_old_exchange, 401),
    "code: as a refresh token": (_posted("web", "token", **{**_REFRESH, "refresh_token": "$code"}), 400),
    "refresh token: another app": (_posted("other", "token", **_REFRESH), 400),
    "refresh token: another client's issuer": (_posted("foreign", "token", **_REFRESH), 400),
    "refresh token: where users refresh": (_at_the_usual_refresh, 401),
    "refresh token: as a code": (_posted("web", "token", **{**_CODE, "code": "$refresh"}), 400),
    "an app at the endpoint of services": (_at_the_token_endpoint_of_services, 401),
    "another grant": (_posted("web", "token", grant_type="password", username="x", password="y"), 400),
    "access token: another client's issuer": (_userinfo("access", "foreign"), 401),
    "ID token as an access token": (_userinfo("id"), 401),
    "refresh token as an access token": (_userinfo("refresh"), 401),
    "code as an access token": (_userinfo("code"), 401),
    "a user's own token at the issuer": (_userinfo("own"), 401),
    "ID token at the API": (_api("id_token"), 401),
    "access token at the API": (_api("access_token"), 403),
}


@rule("APP-TOKENS", "APP-CODES")
@matrix("attack", ATTACKS.values(), ids=ATTACKS)
async def test_credentials_work_only_at_their_own_endpoint(
    scene: Scene, attack: tuple[Callable[[Scene], Awaitable[Any]], int]
) -> None:
    send, status = attack
    reply = await send(scene)
    assert reply.status == status, reply.text
    assert "access_token" not in reply.text
    assert '"token"' not in reply.text


@rule("APP-CODES")
async def test_the_users_exchange_rejects_an_apps_code(scene: Scene) -> None:
    key = hashlib.sha256(scene.code["code"].encode()).hexdigest()
    where = {"user_id": scene.person.id, "used_at": None}
    assert await change_rows(scene.app, "sign_in_codes", where, key=key) == 1
    assert (await _at_the_old_exchange(scene)).status == 401


@rule("APP-TOKENS")
async def test_a_token_works_only_for_its_audience(scene: Scene) -> None:
    """Each token has our valid signature, in case another kind of token is ever signed with the same key."""
    s, app, web = scene, scene.app, scene.web
    own, theirs = claims_of(s.got["access_token"]), claims_of(s.person.token)
    assert own["aud"] == web.issuer != theirs["aud"]
    assert (await web.userinfo(signed(app, Purpose.ACCESS, own))).status == 200
    assert (await app.me(signed(app, Purpose.ACCESS, theirs))).status == 200
    for audience in (theirs["aud"], s.foreign.issuer, web.id, app.public_url, ""):
        assert (await web.userinfo(signed(app, Purpose.ACCESS, own | {"aud": audience}))).status == 401, audience
    for audience in (web.issuer, web.id, ""):
        assert (await app.me(signed(app, Purpose.ACCESS, theirs | {"aud": audience}))).status == 401, audience
    for left_out in ({"scope", "client_id"}, {"client_id"}, {"scope"}):  # like a user's own token
        of_user = {name: own[name] for name in own.keys() - left_out} | {"aud": theirs["aud"]}
        for reply in (await app.me(signed(app, Purpose.ACCESS, of_user)),
                      await web.userinfo(signed(app, Purpose.ACCESS, of_user))):  # fmt: skip
            assert reply.status == 401, left_out
    await every_purpose(app)
    for issuer, answer in ((web.issuer, "code"), (s.foreign.issuer, "error")):
        hint = minted(app, claims_of(s.got["id_token"]) | {"iss": issuer}, purpose=OF_APPS["ES256"])
        assert answer in told(await web.authorize(s.visitor, prompt="none", id_token_hint=hint))


@rule("APP-TOKENS")
async def test_an_app_can_introspect_only_its_own_tokens(scene: Scene) -> None:
    s, app, web = scene, scene.app, scene.web
    able = (await s.web.tokens(s.visitor, scope="openid templates:read"))["access_token"]
    own = (await web.post("introspect", token=able)).json
    assert (own["active"], own["client_id"], own["aud"], own["sub"]) == (True, web.id, web.issuer, str(s.person.id))
    assert not {"roles", "username"} & own.keys()
    for who in (s.other, s.foreign):
        assert (await who.post("introspect", token=able)).json == {"active": False}
    for shown in (s.got["id_token"], s.got["refresh_token"], s.person.token, s.code["code"], "x"):
        assert (await web.post("introspect", token=shown)).json == {"active": False}
    public = await relying(app, web.client, "browser")
    assert (await public.post("introspect", token=able)).json["error"] == "unauthorized_client"
    service = await machine(app, web.client, "gateway", mayIntrospect=True)
    found = await service.introspect(able)
    assert (found["client_id"], found["scope"], found["aud"]) == (web.id, "templates:read", web.issuer)
    assert "roles" not in found
    assert await service.introspect(s.got["access_token"]) == {"active": False}  # it's valid only for userinfo


async def test_revocation_ends_only_the_apps_own_session(scene: Scene) -> None:
    s, app, web = scene, scene.app, scene.web
    for who in (s.other, s.foreign):
        for token in (s.got["access_token"], s.got["refresh_token"]):
            assert (await who.post("revoke", token=token)).status == 200
    assert (await web.userinfo(s.got["access_token"])).status == 200
    assert (await web.post("revoke", token=s.person.token)).status == 200
    assert (await app.me(s.person.token)).status == 200
    assert (await web.post("revoke", token=s.got["refresh_token"])).status == 200
    assert (await web.userinfo(s.got["access_token"])).status == 401
    assert (await web.refresh(s.got["refresh_token"])).json["error"] == "invalid_grant"
    assert "code" in told(await web.authorize(s.visitor, prompt="none"))  # the browser's session continues


@rule("APP-CODES")
async def test_a_second_use_of_a_code_ends_its_session(scene: Scene) -> None:
    s, app, web = scene, scene.app, scene.web
    first = (await web.redeem(s.code)).json
    app.clock.advance(61)
    for who in (s.other, s.foreign):  # anyone who might have read it in a log
        assert (await who.redeem(s.code)).json["error"] == "invalid_grant"
    assert (await web.userinfo(first["access_token"])).status == 200
    assert (await web.redeem(s.code)).json["error"] == "invalid_grant"
    assert (await web.userinfo(first["access_token"])).status == 401
    assert (await trail(app, web.client))[-1].event == "app_code_reused"
    late = told(await web.authorize(s.visitor))
    app.clock.advance(60)
    assert (await web.redeem(late)).json["error"] == "invalid_grant"
    wrong = told(await web.authorize(s.visitor))
    assert (await web.redeem(wrong, code_verifier="w" * 43)).json["error"] == "invalid_grant"
    assert (await web.redeem(wrong)).json["error"] == "invalid_grant"  # it counts as used
    over = told(await web.authorize(s.visitor))
    await s.visitor.submit(await s.visitor.get("/sign-out"), "/sign-out")
    assert (await web.redeem(over)).json["error"] == "invalid_grant"


async def test_a_code_grants_only_what_its_session_has(scene: Scene) -> None:
    """Its authentication methods and time are those of the parent session."""
    s, app, web = scene, scene.app, scene.web
    claims = await web.claims(s.got["id_token"])
    app.clock.advance(700)  # no re-authentication is recent enough
    got = await web.tokens(s.visitor, scope="openid templates:read")
    later = await web.claims(got["id_token"])
    assert (later["auth_time"], later["amr"], later["acr"]) == (claims["auth_time"], ["pwd"], "pwd")
    body = {"email": s.person.email, "password": "x", "name": "x"}
    for path in ("second-factors/totp", "reauthenticate", "sign-out-all", "password", "sign-out"):
        reply = await app.post(f"/api/client/auth/{path}", body, token=got["access_token"])
        assert reply.status in (403, 404), (path, reply.text)


@rule("APP-CODES")
@matrix("held", [{"method": "device"}, {"method": "badge"}, {"parent_id": "another"}], ids=["device", "badge", "child"])
async def test_device_and_child_sessions_issue_no_code(app: App, web: Relying, held: dict[str, str]) -> None:
    person = await member(app, web.client)
    visitor = Visitor(app, cookies={"session": person.cookie})
    await change_rows(app, "sessions", {"user_id": person.id}, **held)
    assert told(await web.authorize(visitor, prompt="none"))["error"] == "login_required"


@matrix("make", [*BROKEN.values()], ids=[*BROKEN])
async def test_an_invalid_assertion_is_rejected(app: App, keyed: Relying, make: Callable[[Maker], str]) -> None:
    maker = Maker(keyed.id, keyed.issuer, app.clock.ms // 1000, ec_key())
    assertion = make(maker)
    fields = {"grant_type": "refresh_token", "refresh_token": "x", "client_assertion_type": ASSERTION_TYPE}
    reply = await form(app, f"{keyed.path}/token", {**fields, "client_assertion": assertion})
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")


async def test_a_valid_assertion_works_once_at_its_issuer(app: App, keyed: Relying) -> None:
    maker = Maker(keyed.id, keyed.issuer, app.clock.ms // 1000, ec_key())
    fields = {"grant_type": "refresh_token", "refresh_token": "x", "client_assertion_type": ASSERTION_TYPE}
    right = {**fields, "client_assertion": maker.right()}
    assert (await form(app, f"{keyed.path}/token", right)).json["error"] == "invalid_grant"
    assert (await form(app, f"{keyed.path}/token", right)).json["error"] == "invalid_client"
    at_services = {**fields, "client_assertion": maker._replace(issuer=app.public_url).right()}
    assert (await form(app, "/oauth2/token", {**at_services, "grant_type": "client_credentials"})).status == 401
    elsewhere = {**fields, "client_assertion": maker._replace(issuer=app.public_url).right(jti="another")}
    assert (await form(app, f"{keyed.path}/token", elsewhere)).status == 401
