"""Properties of every page for every caller: headers, a single host, cookies, and no sign-in with a bearer token."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.routes import PAGES, Route, filled
from tests.support.rules import rule
from tests.support.smaller_limits import no_docs_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

FILES = ("/assets/", "/docs/")  # the same for everyone, on any host
GET = [route for route in PAGES if route.method == "GET" and not route.path.startswith(FILES)]
NO_PAGES = ("/favicon.ico", "/robots.txt", "/.well-known/change-password", "/.well-known/passkey-endpoints")
SHOWN = [route for route in GET if route.path not in NO_PAGES]
POST = [route for route in PAGES if route.method == "POST"]


def policy(origin: str) -> str:
    assets = f"{origin}/assets/"
    return (
        f"default-src 'none'; script-src {assets}; style-src {assets}; img-src {assets}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    )


@matrix("route", SHOWN)
async def test_a_page_has_its_headers(app: App, route: Route) -> None:
    visitor = await (await Visitor(app).signed_in()).system_admin()
    page = await visitor.get(filled(route.path))
    if page.status in (302, 303):
        assert page.reply.text == ""
        return
    headers = page.reply.headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers.get_list("content-security-policy") == [policy(app.public_url)]
    assert headers.get_list("referrer-policy") == ["same-origin"]
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["permissions-policy"].endswith("camera=(), microphone=(), geolocation=()")
    assert "publickey-credentials-get=(self)" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-robots-tag"] == "noindex"
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in headers


@rule("HEADERS")
@matrix("route", SHOWN)
async def test_nothing_on_a_page_is_inline_or_from_elsewhere(app: App, route: Route) -> None:
    page = await (await (await Visitor(app).signed_in()).system_admin()).get(filled(route.path))
    if page.status != 200:
        return
    for element in page.tree.iter():
        if not isinstance(element.tag, str):
            continue
        assert element.tag != "style"
        assert not [key for key in element.attrib if key.startswith("on") or key == "style"]
        assert element.tag != "script" or (element.get("src") and not element.text)
        for key in ("src", "action"):
            assert element.get(key, "/").startswith("/"), element.get(key)
    assert len(page.tree.xpath("//h1")) == 1
    assert page.tree.get("lang") == "en"


@matrix("route", GET)
@matrix("host", ["acme.127.0.0.1:8080", "evil.example", "127.0.0.1", "127.0.0.1:8081", "localhost:8080"])
async def test_another_host_is_sent_to_the_public_one(app: App, route: Route, host: str) -> None:
    if route.path in NO_PAGES:
        return
    path = filled(route.path)
    page = await Visitor(app).send("GET", f"{path}?a=b", Host=host)
    assert page.status == 302
    client = "&client=acme" if host.startswith("acme.") else ""
    assert page.location == f"{app.public_url}{path}?a=b{client}"
    assert "evil" not in page.reply.text


@matrix("route", POST)
async def test_a_post_to_another_host_is_rejected(app: App, route: Route) -> None:
    page = await Visitor(app).post(filled(route.path), {}, Host="acme.127.0.0.1:8080")
    assert page.status == 400
    assert "set-cookie" not in page.reply.headers


@matrix("route", [*SHOWN, *POST])
async def test_a_bearer_opens_no_page(app: App, route: Route) -> None:
    token = (await app.sign_in()).data["token"]
    page = await Visitor(app).send(route.method, filled(route.path), Authorization=f"Bearer {token}")
    assert page.status == 400


async def test_on_https_cookies_have_the_prefix_that_keeps_other_hosts_out(secure: App) -> None:
    page = await Visitor(secure).get("/sign-out")
    [line] = page.reply.headers.get_list("set-cookie")
    assert re.fullmatch(r"__Host-form=[\w-]{22}; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax; Secure", line)
    assert page.reply.headers["strict-transport-security"]
    assert page.reply.headers["content-security-policy"] == policy("https://auth.example.com")


async def test_the_form_cookie_stays_the_same_from_page_to_page(app: App) -> None:
    visitor = Visitor(app)
    await visitor.get("/sign-out")
    before = visitor.cookies["form"]
    await visitor.get("/sign-out")
    assert visitor.cookies["form"] == before
    visitor.cookies["form"] = "of-another-shape"
    await visitor.get("/sign-out")
    assert visitor.cookies["form"] not in (before, "of-another-shape")


async def test_a_page_for_users_sends_others_to_sign_in_and_back(app: App) -> None:
    page = await Visitor(app).get("/account")
    assert (page.status, page.location) == (303, "/sign-in?returnTo=%2Faccount")
    assert (await (await Visitor(app).signed_in()).get("/account")).status == 200
    admin = await app.admin_token()
    stale = Visitor(app, {"session": admin})
    assert (await stale.get("/account")).status == 303


async def test_the_session_stays_alive_while_pages_are_used(app: App, another_day: None) -> None:
    visitor = await Visitor(app).signed_in()
    app.clock.advance(3600)
    page = await visitor.get("/account")
    assert [line for line in page.reply.headers.get_list("set-cookie") if line.startswith("session=")]


async def test_the_start_and_well_known_addresses(app: App) -> None:
    visitor = Visitor(app)
    assert (await visitor.get("/")).location == "/sign-in"
    assert (await (await Visitor(app).signed_in()).get("/")).location == "/account"
    page = await visitor.get("/.well-known/change-password")
    assert (page.status, page.location) == (302, "/account/password")
    # Browsers don't create passkeys at an IP address.
    assert (await visitor.get("/.well-known/passkey-endpoints")).status == 404
    assert (await visitor.get("/.well-known/nothing")).status == 404
    robots = await visitor.get("/robots.txt")
    assert (robots.status, robots.reply.text) == (200, "User-agent: *\nDisallow: /\n")


async def test_docs_that_were_not_built_are_a_page_that_says_how(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_docs_site(monkeypatch, tmp_path)
    assert (await app.get("/docs")).headers["location"] == "/docs/"
    reply = await app.get("/docs/")
    assert (reply.status, reply.text) == (200, (await app.get("/docs/api")).text)
    page = await Visitor(app).get("/docs/admin.html")
    assert page.status == 404
    for text in (page.text, reply.text):
        assert "./dev docs" in text
    assert (await app.get("/docs/admin.html")).code == "NOT_FOUND"
