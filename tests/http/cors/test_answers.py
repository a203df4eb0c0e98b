"""Every response can be read only by pages of origins that its client lists."""

from __future__ import annotations

import pytest

from tests.http.cors.pages import FOREIGN, GRAPHQL, LISTED, ME, REFRESH, SIGN_IN, THEIRS, is_readable, page
from tests.support.accounts import Keys, keys_of, new_client, settle
from tests.support.application import PASSWORD, App, Reply
from tests.support.faults import listed_origins_cannot_be_read, sign_in_has_a_bug, store_is_gone
from tests.support.machines import machine, wrong
from tests.support.matrix import matrix
from tests.support.people import member, own_client
from tests.support.rules import rule

GLOBEX = "author@globex.example"
ORIGINS = (LISTED, THEIRS, FOREIGN)
OTHERS = (
    "/api/admin/clients", "/api/admin/auth/sign-in", "/healthz", "/docs/api", "/power-apps.json", "/", "/sign-in",
    "/oauth2/token", "/scim/v2/Users", "/rest/signin", "/api/clientele", "/api/client",
)  # fmt: skip
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


async def readers(app: App, method: str, path: str, body: object = None, **options: object) -> tuple[Reply, list[str]]:
    """The last response, and the origins with pages that can read the response to that request."""
    headers = options.pop("headers", {})
    assert isinstance(headers, dict)
    found = []
    for origin in ORIGINS:
        reply = await app.send(method, path, body, headers={**page(origin), **headers}, **options)  # type: ignore[arg-type]
        if is_readable(reply, origin):
            found.append(origin)
    return reply, found


async def test_a_request_without_an_origin_gets_only_vary(app: App) -> None:
    keys = await keys_of(app)
    for path in (ME, "/openapi.json", "/.well-known/jwks.json", "/api/client/nowhere"):
        reply = await app.get(path, token=keys.token)
        assert "Origin" in reply.headers["vary"].split(", ")
        assert not [name for name in reply.headers if name.startswith("access-control-")]
    assert "vary" not in (await app.get("/healthz")).headers
    assert "vary" not in (await app.get("/api/admin/clients")).headers


@rule("CORS-LISTED")
async def test_the_tokens_client_decides(app: App) -> None:
    ours, theirs = await keys_of(app), await keys_of(app, GLOBEX, client="globex")
    for method, path, body in (
        ("GET", ME, None),
        ("HEAD", ME, None),
        ("PATCH", ME, {"title": "Author"}),
        ("POST", GRAPHQL, {"query": "{ me { id } }"}),
        ("POST", GRAPHQL, {"query": "{ nonsense }"}),
        ("GET", "/api/client/settings", None),  # 403
        ("PATCH", ME, {"title": 1}),  # 400
        ("POST", "/api/client/files?name=a.exe", None),  # 400 or 415
    ):
        assert (await readers(app, method, path, body, token=ours.token))[1] == [LISTED], (method, path)
        assert (await readers(app, method, path, body, token=theirs.token))[1] == [THEIRS], (method, path)


async def test_naming_another_client_changes_nothing(app: App) -> None:
    keys = await keys_of(app)
    for named in ("globex", "acme", "nowhere"):
        reply, found = await readers(app, "GET", ME, token=keys.token, headers={"X-Client-ID": named})
        assert found == [LISTED], named
        assert reply.status == (200 if named == "acme" else 403)


@rule("CORS-LISTED")
async def test_an_expired_token_still_identifies_its_client(app: App) -> None:
    keys, theirs = await keys_of(app), await keys_of(app, GLOBEX, client="globex")
    app.clock.advance(86_400 + 1)
    reply, found = await readers(app, "GET", ME, token=keys.token)
    assert (reply.code, found) == ("TOKEN_EXPIRED", [LISTED])
    assert (await readers(app, "POST", GRAPHQL, {"query": "{ me { id } }"}, token=theirs.token))[1] == [THEIRS]
    app.clock.advance(40 * 86_400)  # the session has expired
    assert (await readers(app, "GET", ME, token=keys.token))[1] == [LISTED]


async def test_a_signed_out_token_still_identifies_its_client(app: App) -> None:
    keys = await keys_of(app)
    assert (await app.post("/api/client/auth/sign-out", token=keys.token)).status == 200
    reply, found = await readers(app, "GET", ME, token=keys.token)
    assert (reply.code, found) == ("INVALID_TOKEN", [LISTED])
    assert (await readers(app, "GET", ME, cookie=keys.cookie))[1] == [LISTED]


@rule("CORS-LISTED")
async def test_no_page_can_read_a_machines_response(app: App) -> None:
    key = (await machine(app, "acme")).key.text
    for shown, status in ((key, 200), (wrong(key), 401)):
        reply, found = await readers(app, "GET", ME, token=shown)
        assert (reply.status, found) == (status, [])


async def test_with_no_credential_the_named_client_decides_else_any(app: App) -> None:
    for headers, found in (
        ({}, [LISTED, THEIRS]),
        ({"X-Client-ID": "acme"}, [LISTED]),
        ({"X-Client-ID": str(app.ids["globex"] if app.ids else 2)}, [THEIRS]),
        ({"X-Client-ID": "nowhere"}, []),
        ({"Host": "globex.auth.example.com"}, [THEIRS]),
    ):
        for credential in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}):
            reply, seen = await readers(app, "GET", ME, headers={**headers, **credential})
            assert (reply.status, seen) == (401, found), (headers, credential)


async def test_body_and_query_name_a_client_too(app: App) -> None:
    path, body = "/api/client/auth/password/forgot", {"email": "no@one.example"}
    assert (await readers(app, "POST", path, body))[1] == [LISTED, THEIRS]
    assert (await readers(app, "POST", path, {**body, "client": "globex"}))[1] == [THEIRS]
    assert (await readers(app, "POST", "/api/client/auth/discover?client=acme", body))[1] == [LISTED]


async def test_a_path_or_method_that_is_not_there_is_read_by_any(app: App) -> None:
    assert (await readers(app, "GET", "/api/client/nowhere"))[1] == [LISTED, THEIRS]
    assert (await readers(app, "DELETE", SIGN_IN))[1] == [LISTED, THEIRS]


async def test_public_documents_are_read_by_any(app: App) -> None:
    for path in ("/openapi.json", "/.well-known/jwks.json"):
        assert (await readers(app, "GET", path))[1] == [LISTED, THEIRS]


@rule("CORS-ROUTES")
async def test_no_other_route_is_read(app: App) -> None:
    admin = {"Authorization": f"Bearer {await app.admin_token()}"}
    for path in OTHERS:
        for origin in ORIGINS:
            reply = await app.get(path, headers={**page(origin), **admin})
            assert not [name for name in reply.headers if name.startswith("access-control-")], path


async def test_a_sign_in_is_read_by_the_origins_of_the_users_client(app: App) -> None:
    body = {"email": "author@acme.example", "password": PASSWORD}
    reply, found = await readers(app, "POST", SIGN_IN, body)
    assert (reply.status, found) == (200, [LISTED])
    reply, found = await readers(app, "POST", SIGN_IN, {**body, "email": GLOBEX})
    assert (reply.status, found) == (200, [THEIRS])


@rule("CORS-LISTED")
async def test_a_rejected_sign_in_does_not_tell_where_the_address_is(app: App) -> None:
    for email in ("author@acme.example", GLOBEX, "no@one.example"):
        reply, found = await readers(app, "POST", SIGN_IN, {"email": email, "password": "wrong-wrong-wrong"})
        assert (reply.code, found) == ("INVALID_CREDENTIALS", [LISTED, THEIRS])


async def test_a_refresh_is_read_by_the_origins_of_the_users_client(app: App) -> None:
    keys = await keys_of(app, GLOBEX, client="globex")
    reply, found = await readers(app, "POST", REFRESH, {"refreshToken": keys.refresh_token})
    assert (reply.status, found) == (200, [THEIRS])
    await app.post("/api/client/auth/sign-out", token=keys.token)
    reply, found = await readers(app, "POST", REFRESH, {"refreshToken": keys.refresh_token})
    assert (reply.code, found) == ("INVALID_TOKEN", [THEIRS])


async def test_a_cookie_of_a_page_that_is_listed_elsewhere_changes_nothing(app: App) -> None:
    keys = await keys_of(app)
    for origin in (THEIRS, FOREIGN):
        headers = page(origin, **{"Sec-Fetch-Site": "cross-site"})
        reply = await app.send("PATCH", ME, {"title": "Changed"}, cookie=keys.cookie, headers=headers)
        assert (reply.code, is_readable(reply, origin)) == ("FORBIDDEN", False)
        reply = await app.me(cookie=keys.cookie, headers=headers)
        assert (reply.data["user"]["title"] != "Changed", is_readable(reply, origin)) == (True, False)
    headers = page(LISTED, **{"Sec-Fetch-Site": "same-site"})
    reply = await app.send("PATCH", ME, {"title": "Author"}, cookie=keys.cookie, headers=headers)
    assert (reply.status, is_readable(reply, LISTED)) == (200, True)


async def test_an_expired_cookie_still_identifies_its_client(app: App) -> None:
    keys = await keys_of(app)
    app.clock.advance(8 * 86_400)
    reply, found = await readers(app, "GET", ME, cookie=keys.cookie)
    assert (reply.code, found) == ("TOKEN_EXPIRED", [LISTED])


async def test_rate_limited_responses_show_retry_after(app: App) -> None:
    body = {"email": "nobody-at-all@acme.example", "password": "wrong-wrong-wrong"}
    for _ in range(200):
        reply = await app.post(SIGN_IN, body, headers=page(LISTED))
        assert is_readable(reply, LISTED)
        if reply.status == 429:
            break
    assert (reply.code, int(reply.headers["retry-after"]) > 0) == ("RATE_LIMITED", True)


async def test_a_bug_response_is_readable(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in_has_a_bug(monkeypatch)
    reply, found = await readers(app, "POST", SIGN_IN, {"email": GLOBEX, "password": PASSWORD})
    assert (reply.code, found) == ("INTERNAL_ERROR", [THEIRS])


async def test_an_unavailable_database_response_is_readable(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    store_is_gone(monkeypatch, app, "gone")
    reply, found = await readers(app, "POST", SIGN_IN, {"email": GLOBEX, "password": PASSWORD})
    assert (reply.code, found) == ("OVERLOADED", [LISTED, THEIRS])


@matrix("bug", [False, True])
async def test_if_the_client_is_unknown_the_response_is_sent_but_unreadable(
    app: App, monkeypatch: pytest.MonkeyPatch, bug: bool
) -> None:
    listed_origins_cannot_be_read(monkeypatch, app, bug=bug)
    reply, found = await readers(app, "GET", ME)
    assert (reply.code, found) == ("UNAUTHENTICATED", [])


@rule("CORS-PLANTED")
async def test_a_user_admins_origin_reads_nothing_of_an_admin(app: App) -> None:
    own = await own_client(app)
    planted = "https://planted.example"
    viewer = await member(app, own.identifier)
    await own.changed(own.clerk, allowedOrigins=[planted])
    for who, reads in ((viewer, True), (own.clerk, True), (own.client_admin, False)):
        seen = [
            await app.me(who.token, headers=page(planted)),
            await app.me(cookie=who.cookie, headers=page(planted)),
            await app.graphql("{ me { id } }", who.token, headers=page(planted)),
            await app.sign_in(who.email, client=own.identifier, headers=page(planted)),
        ]
        keys = Keys.of(seen[-1])
        seen.append(await app.refresh(keys.refresh_token, headers=page(planted)))
        assert [reply.status for reply in seen] == [200] * 5
        assert [is_readable(reply, planted) for reply in seen] == [reads] * 5
    app.clock.advance(86_400 + 1)
    for who, reads in ((viewer, True), (own.clerk, True), (own.client_admin, False)):
        expired = await app.me(who.token, headers=page(planted))
        assert (expired.code, is_readable(expired, planted)) == ("TOKEN_EXPIRED", reads)
    admin = await app.sign_in(own.client_admin.email, client=own.identifier)
    await app.send("PATCH", "/api/client/settings", {"allowedOrigins": [planted]}, token=admin.data["token"])
    assert is_readable(await app.me(admin.data["token"], headers=page(planted)), planted)


async def test_a_removed_origin_can_no_longer_read_responses(app: App) -> None:
    client = await new_client(app, allowedOrigins=["https://gone.example"])
    who = await member(app, client)
    assert is_readable(await app.me(who.token, headers=page("https://gone.example")), "https://gone.example")
    await settle(app, client, allowedOrigins=[])
    assert not is_readable(await app.me(who.token, headers=page("https://gone.example")), "https://gone.example")
    assert not is_readable(await app.me("nonsense", headers=page("https://gone.example")), "https://gone.example")
