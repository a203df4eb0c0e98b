"""The start of a sign-in: the redirect to the provider, and the cookie that binds it to the browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import new_client
from tests.support.application import App, Reply, running
from tests.support.envelope import check_headers, check_refusal
from tests.support.licences import on_premise
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, add_oidc, begun, callback, check_no_one_got_in, failures, query_of

HTTPS = "https://auth.example.com"
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture(scope="module")
async def secure(database_url: str, app: App) -> AsyncIterator[App]:
    """The same installation at an HTTPS address, which can call the stand-in on this machine."""
    async with running(database_url, MANIFEST_PUBLIC_URL=HTTPS, MANIFEST_OUTGOING_PRIVATE="on") as node:
        yield node


@pytest.fixture
async def client(app: App, op: Op) -> str:
    identifier = await new_client(app)
    await add_oidc(app, op, identifier, name="company")
    return identifier


def secrets_of(reply: Reply) -> list[str]:
    """The values of the cookies that a response sets."""
    return [line.partition(";")[0].partition("=")[2] for line in reply.headers.get_list("set-cookie")]


async def test_the_browser_is_sent_to_the_provider_with_everything_that_the_flow_needs(
    app: App, op: Op, client: str
) -> None:
    started = await Browser(app).start("oidc", client=client)
    assert started.status == 302
    assert started.headers["location"].startswith(f"{op.base}/authorize?")
    assert started.headers["cache-control"] == "no-store"
    check_headers(started)
    query = query_of(started)
    assert set(query) == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert query["client_id"] == op.client_id
    assert query["redirect_uri"] == callback(client, "company")
    assert query["scope"].split() == ["openid", "profile", "email"]


async def test_the_verifier_and_the_cookie_and_the_client_secret_are_not_in_the_address(
    app: App, op: Op, client: str
) -> None:
    browser = Browser(app)
    started = await browser.start("oidc", client=client)
    address = started.headers["location"]
    await browser.send("GET", op.visit(address))
    [redeemed] = [asked for asked in op.asked if asked.endpoint == "token"]
    assert len(redeemed.form["code_verifier"]) >= 43
    assert op.client_secret
    for secret in (redeemed.form["code_verifier"], op.client_secret, *secrets_of(started)):
        assert secret not in address
        assert secret not in started.text


async def test_the_scopes_of_the_provider_are_asked_for(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client, {"scopes": ["email", "openid", "groups", "email"]})
    assert query_of(await Browser(app).start("oidc", client=client))["scope"] == "openid email groups"


async def test_a_login_hint_is_handed_on_as_it_is(app: App, op: Op, client: str) -> None:
    for hint in ("ada@acme.example", "ädä+x@acme.example&prompt=none", "a b%0d%0aX: y#"):
        started = await Browser(app).start("oidc", client=client, loginHint=hint)
        query = query_of(started)
        assert query["login_hint"] == hint
        assert "prompt" not in query
        assert started.headers["location"].isascii()


async def test_a_query_that_the_providers_address_has_already_is_kept(app: App, op: Op, client: str) -> None:
    """RFC 6749, section 3.1; Azure AD B2C policies have such a query."""
    op.announced["authorization_endpoint"] = f"{op.base}/authorize?p=b2c_1_sign_in"
    browser, address = await begun(app, op, client)
    started = await Browser(app).start("oidc", client=client)
    assert query_of(started)["p"] == "b2c_1_sign_in"
    assert started.headers["location"].count("?") == 1
    assert (await browser.send("GET", address)).status == 302


@rule("OIDC-REDIRECT-URI")
@matrix(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:9999"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "444"},
        {"Forwarded": "host=evil.example;proto=https"},
        {"X-Original-Host": "evil.example", "X-Original-URL": "/evil", "X-Forwarded-Prefix": "/evil"},
    ],
)
async def test_no_header_changes_where_the_provider_answers_to(
    app: App, op: Op, client: str, headers: dict[str, str]
) -> None:
    started = await app.get(f"/api/client/auth/oidc?client={client}", headers=headers)
    assert query_of(started)["redirect_uri"] == callback(client, "company")
    assert "evil" not in str(started.headers) + started.text


async def test_the_cookie_is_for_our_own_pages_alone(app: App, secure: App, op: Op, client: str) -> None:
    secure.clock.ms = app.clock.ms
    for node, more in ((app, set()), (secure, {"Secure"})):
        started = await Browser(node).start("oidc", client=client)
        [line] = started.headers.get_list("set-cookie")
        pair, *attributes = line.split("; ")
        assert pair.startswith("sso-")
        assert set(attributes) == {"Max-Age=600", "Path=/api/client/auth", "HttpOnly", "SameSite=Lax", *more}


async def test_on_https_the_callback_is_there_too(app: App, secure: App, op: Op, client: str) -> None:
    secure.clock.ms = app.clock.ms
    browser, address = await begun(secure, op, client)
    assert address.startswith(f"{HTTPS}/api/client/auth/oidc/callback/{client}/company?")
    ended = await browser.send("GET", address)
    assert ended.status == 302, ended.text
    for line in ended.headers.get_list("set-cookie"):
        assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(line.split("; ")), line


async def test_a_provider_that_is_turned_off_is_no_way_in(app: App, op: Op) -> None:
    client = await new_client(app)
    made = await add_oidc(app, op, client)
    path = f"/api/admin/clients/{client}/providers/{made['name']}"
    await app.post(f"{path}/switch-off", token=await app.admin_token())
    sentence = check_no_one_got_in(await Browser(app).start("oidc", client=client, provider=made["name"]))
    assert sentence == "This sign-in method is turned off"
    assert op.asked == []
    await app.post(f"{path}/switch-on", token=await app.admin_token())
    await begun(app, op, client, provider=made["name"])


@matrix(
    "announced",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://idp.example/authorize"},
        {"authorization_endpoint": "https://idp.example/authorize#x"},
        {"authorization_endpoint": "https://idp.example/a\r\nSet-Cookie: session=x"},
        {"authorization_endpoint": "https://idp.example/\u00e4"},
        {"authorization_endpoint": None},
        {"token_endpoint": "http://idp.example/token"},
        {"jwks_uri": ["https://idp.example/keys"]},
    ],
)
async def test_a_provider_that_describes_itself_wrongly_gets_no_browser(
    app: App, op: Op, client: str, announced: dict[str, object]
) -> None:
    op.announced |= announced
    check_no_one_got_in(await Browser(app).start("oidc", client=client))
    [failed] = await failures(app, client)
    assert failed["why"].startswith("discovery: ")
    assert failed["method"] == "oidc"


async def test_a_wrong_query_is_rejected_and_the_provider_not_asked(app: App, op: Op, client: str) -> None:
    for query in (
        "response=token",
        "response=",
        "codeChallenge=short",
        "codeChallenge=" + "A" * 44,
        "response=code&codeChallenge=" + "%2B" * 43,
        "provider=" + "a" * 64,
        "loginHint=" + "a" * 255,
        "returnTo=" + "a" * 2001,
        "returnTo=%00",
        "returnTo=%ff",
        "provider=x&provider=x",
    ):
        reply = await app.get(f"/api/client/auth/oidc?client={client}&{query}")
        check_refusal(reply, 400, "VALIDATION_ERROR")
        assert "location" not in reply.headers
    assert op.asked == []


async def test_it_begins_by_get_alone(app: App, client: str) -> None:
    for path in ("oidc", "oidc/callback", "oidc/callback/acme/okta"):
        for method in ("POST", "PUT", "DELETE"):
            reply = await app.send(method, f"/api/client/auth/{path}", {} if method != "DELETE" else None)
            check_refusal(reply, 405, "METHOD_NOT_ALLOWED")
            assert reply.headers["allow"] == "GET, HEAD"


async def test_without_a_license_nothing_begins_or_ends(app: App, op: Op, client: str, database_url: str) -> None:
    browser, address = await begun(app, op, client)
    asked = len(op.asked)
    async with on_premise(database_url) as node:
        node.clock.ms = app.clock.ms
        other = Browser(node, dict(browser.cookies))
        for reply in (
            await other.start("oidc", client=client),
            await other.send("GET", address),
            await node.post("/api/client/auth/discover", {"email": "ada@acme.example"}),
            await node.post("/api/client/auth/exchange", {"code": "x"}),
        ):
            check_no_one_got_in(reply, 403, "LICENSE_REQUIRED")
    assert len(op.asked) == asked
    assert (await browser.send("GET", address)).status == 302
