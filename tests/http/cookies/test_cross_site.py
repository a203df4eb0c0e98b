"""Requests that change state with the session cookie are accepted only from our own site and from listed origins."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import keys_of, settle
from tests.support.application import App, Reply, running
from tests.support.matrix import matrix
from tests.support.rules import rule

OWN = "https://auth.example.com"
TENANT = "https://acme.auth.example.com"
LISTED = "https://app.acme.example"
LISTED_PORT = "https://app.acme.example:8443"
SIGN_OUT_ALL = "/api/client/auth/sign-out-all"
FOREIGN = [
    "null",
    "",
    "https://evil.example",
    "http://auth.example.com",
    "https://auth.example.com:8443",
    "https://auth.example.com.evil.example",
    "https://globex.auth.example.com",
    "https://x.acme.auth.example.com",
    "https://evilauth.example.com",
    "https://example.com",
    "https://auth.example.com/",
    "https://auth.example.com@evil.example",
    "http://app.acme.example",
    "https://app.acme.example:443",
    "https://app.acme.example:8444",
    "https://sub.app.acme.example",
    "https://app.acme.example.evil.example",
    "HTTPS://APP.ACME.EXAMPLE",
    f"{LISTED}, https://evil.example",
    "*",
]
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture(scope="module")
async def app(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_PUBLIC_URL=OWN) as application:
        await settle(application, "acme", allowedOrigins=[LISTED, LISTED_PORT])
        yield application


def browser(site: str | None, origin: str | None) -> dict[str, str]:
    headers = {"Sec-Fetch-Site": site} if site is not None else {}
    return {**headers, **({"Origin": origin} if origin is not None else {})}


async def change(app: App, cookie: str, headers: dict[str, str]) -> Reply:
    """Send a request that changes state."""
    return await app.post(SIGN_OUT_ALL, cookie=cookie, headers=headers)


#: Whether the request passes, by ``Sec-Fetch-Site``, without an origin, from our own origin, and from a listed one.
VERDICTS: dict[str | None, tuple[bool, bool, bool]] = {
    None: (True, True, True),
    "same-origin": (True, True, True),
    "none": (True, True, True),
    "same-site": (False, True, True),  # the other header must name the origin within the site
    "cross-site": (False, False, True),  # a cross-site request isn't ours, whatever its origin says
    "": (False, False, False),
    "nonsense": (False, False, False),
    "Same-Origin": (False, False, False),
    "same-origin, cross-site": (False, False, False),
}


@rule("CSRF")
@matrix("origin", [None, OWN, TENANT, LISTED, LISTED_PORT])
@matrix("site", VERDICTS)
async def test_one_cross_site_header_is_enough(app: App, site: str | None, origin: str | None) -> None:
    keys = await keys_of(app)
    kind = 0 if origin is None else 1 if origin in (OWN, TENANT) else 2
    reply = await change(app, keys.cookie, browser(site, origin))
    if VERDICTS[site][kind]:
        assert reply.status == 200
    else:
        assert (reply.status, reply.code) == (403, "FORBIDDEN")
        assert (await app.me(cookie=keys.cookie)).status == 200


@rule("CSRF")
@matrix("origin", FOREIGN)
@matrix("site", VERDICTS)
async def test_cross_site_requests_are_rejected_and_change_nothing(app: App, site: str | None, origin: str) -> None:
    keys = await keys_of(app)
    reply = await change(app, keys.cookie, browser(site, origin))
    assert (reply.status, reply.code) == (403, "FORBIDDEN")
    assert (await app.me(cookie=keys.cookie)).status == 200


@matrix("name", ["Origin", "Sec-Fetch-Site"])
async def test_a_repeated_header_is_rejected(app: App, name: str) -> None:
    keys = await keys_of(app)
    good = LISTED if name == "Origin" else "same-origin"
    headers = [(name, good), (name, "https://evil.example")]
    assert (await app.post(SIGN_OUT_ALL, cookie=keys.cookie, headers=headers)).status == 400


@rule("CSRF")
async def test_every_changing_route_is_guarded(app: App) -> None:
    keys = await keys_of(app)
    session = (await app.me(keys.token)).data["session"]["id"]
    foreign = browser("cross-site", "https://evil.example")
    password = {"currentPassword": "x", "newPassword": "y"}
    for method, path, body in (
        ("POST", "/api/client/auth/sign-out", None),
        ("POST", SIGN_OUT_ALL, None),
        ("DELETE", f"/api/client/auth/sessions/{session}", None),
        ("POST", "/api/client/auth/password", password),
        ("POST", "/api/client/graphql", {"query": "{ me { id } }"}),
    ):
        reply = await app.send(method, path, body, cookie=keys.cookie, headers=foreign)
        assert reply.status == 403, path
        assert "FORBIDDEN" in reply.text
    assert (await app.me(cookie=keys.cookie)).status == 200


async def test_reading_is_not_guarded_and_not_shared(app: App) -> None:
    keys = await keys_of(app)
    for method in ("GET", "HEAD"):
        headers = browser("cross-site", "https://evil.example")
        reply = await app.send(method, "/api/client/auth/me", cookie=keys.cookie, headers=headers)
        assert reply.status == 200
        assert "access-control-allow-origin" not in reply.headers  # the requesting page must not read the response
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_token_needs_no_guard(app: App) -> None:
    keys = await keys_of(app)
    foreign = browser("cross-site", "https://evil.example")
    assert (await app.post(SIGN_OUT_ALL, token=keys.token, headers=foreign)).status == 200


@rule("CSRF")
async def test_an_invalid_token_does_not_disable_the_check(app: App) -> None:
    keys = await keys_of(app)
    foreign = {**browser("cross-site", "https://evil.example"), "Authorization": "Bearer rubbish"}
    assert (await app.post(SIGN_OUT_ALL, cookie=keys.cookie, headers=foreign)).code == "INVALID_TOKEN"
    assert (await app.me(cookie=keys.cookie)).status == 200


async def test_what_one_client_lists_does_not_count_for_another(app: App) -> None:
    keys = await keys_of(app, "author@globex.example", client="globex")
    assert (await change(app, keys.cookie, browser("cross-site", LISTED))).code == "FORBIDDEN"
    assert (await change(app, keys.cookie, browser("same-site", TENANT))).code == "FORBIDDEN"
    assert (await change(app, keys.cookie, browser("same-site", "https://globex.auth.example.com"))).status == 200


async def test_a_site_removed_from_the_list_is_rejected_immediately(app: App) -> None:
    keys = await keys_of(app)
    await settle(app, "acme", allowedOrigins=[LISTED_PORT])
    try:
        assert (await change(app, keys.cookie, browser("cross-site", LISTED))).code == "FORBIDDEN"
    finally:
        await settle(app, "acme", allowedOrigins=[LISTED, LISTED_PORT])
    assert (await change(app, keys.cookie, browser("cross-site", LISTED))).status == 200


@matrix("public", ["https://Auth.Example.com", "https://auth.example.com:443", "https://auth.example.com/"])
async def test_the_servers_own_origin_is_recognized_in_any_spelling(database_url: str, public: str) -> None:
    async with running(database_url, MANIFEST_PUBLIC_URL=public) as node:
        node.clock.advance(90 * 86_400)
        for origin in (OWN, TENANT):
            keys = await keys_of(node, client="acme")
            assert (await change(node, keys.cookie, browser("same-origin", origin))).status == 200


@matrix("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_form_of_another_site_signs_no_one_in(app: App, kind: str) -> None:
    """A body that a page can send without a preflight is never parsed as JSON."""
    content = b'{"email":"author@acme.example","password":"kestrel-harbor-21-violet"}'
    reply = await app.send("POST", "/api/client/auth/sign-in", content=content, headers={"Content-Type": kind})
    assert (reply.status, reply.code) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert "set-cookie" not in reply.headers
