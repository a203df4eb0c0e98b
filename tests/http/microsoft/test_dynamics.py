"""Sign-in with Microsoft Dynamics in a browser and in an app, and the requests that it sends to Microsoft."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import ORGANIZATION, OUR_SECRET, OURS
from tests.support.accounts import Keys, opened_by, trail
from tests.support.envelope import check_headers, check_refusal, check_success
from tests.support.rules import rule
from tests.support.single_sign_on import BASE, RETURN_TO, Browser, flow_cookies, query_of, sign_ins

pytestmark = pytest.mark.one_store

START, CALLBACK = "/api/client/auth/ms-dynamics", f"{BASE}/api/client/auth/ms-dynamics/callback"
VERIFIER = "dynamics-verifier-of-an-app-0123456789-abcdef"


@rule("OIDC-FLOW")
async def test_the_browser_is_sent_to_the_directory_with_everything_that_the_flow_needs(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    started = await Browser(setup.app).start("ms-dynamics", client=provider.client)
    assert started.status == 302
    check_headers(started)
    assert started.headers["cache-control"] == "no-store"
    authority = f"{setup.microsoft.base}/{setup.microsoft.named('contoso').id}/oauth2/v2.0/authorize"
    assert started.headers["location"].partition("?")[0] == authority
    query = query_of(started)
    assert set(query) == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }
    assert (query["response_type"], query["client_id"], query["redirect_uri"]) == ("code", OURS, CALLBACK)
    assert query["code_challenge_method"] == "S256"
    assert query["scope"].split() == ["openid", "profile", "email", f"{ORGANIZATION}/user_impersonation"]
    assert all(len(query[name]) >= 22 for name in ("state", "nonce"))
    [line] = started.headers.get_list("set-cookie")
    assert {"Max-Age=600", "Path=/api/client/auth", "HttpOnly", "SameSite=Lax"} <= set(line.split("; "))


async def test_a_refresh_token_is_asked_for_only_where_tokens_are_kept(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(dynamics={"keepTokens": True, "organization": f"{ORGANIZATION}/"})
    query = query_of(await Browser(setup.app).start("ms-dynamics", client=provider.client))
    assert query["scope"].split() == [
        "openid", "profile", "email", f"{ORGANIZATION}/user_impersonation", "offline_access",
    ]  # fmt: skip


async def test_the_whole_way_of_a_browser(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(defaultRoles=["Author"])
    before = sign_ins(setup.app, "dynamics", "ok")
    browser, ended = await provider.sign_in("alice", returnTo=RETURN_TO)
    assert (ended.status, ended.headers["location"]) == (302, RETURN_TO)
    assert flow_cookies(browser) == {}
    me = (await browser.me()).data
    assert (me["user"]["email"], me["user"]["firstName"], me["user"]["lastName"]) == (
        "alice@contoso.example", "Alice", "Liddell",
    )  # fmt: skip
    assert (me["client"]["identifier"], me["roles"]) == (provider.client, ["Author"])
    assert me["session"]["method"] == "dynamics"
    assert sign_ins(setup.app, "dynamics", "ok") == before + 1
    events = {event.event: event.members for event in await trail(setup.app, provider.client)}
    assert (events["signed_in"]["method"], events["signed_in"]["provider"]) == ("dynamics", provider.made["id"])


@rule("OIDC-CODE")
async def test_the_code_is_redeemed_with_verifier_secret_and_address_and_dataverse_is_asked_once(
    setup: MicrosoftSetup,
) -> None:
    provider = await setup.dynamics()
    browser = Browser(setup.app)
    address = await provider.start(browser)
    challenge = address.partition("code_challenge=")[2].partition("&")[0]
    await browser.send("GET", setup.microsoft.visit(address))
    [redeemed] = [asked for asked in setup.microsoft.asked if asked.endpoint == "token"]
    assert redeemed.path == f"/{setup.microsoft.named('contoso').id}/oauth2/v2.0/token"
    assert (redeemed.form["client_id"], redeemed.form["client_secret"]) == (OURS, OUR_SECRET)
    assert redeemed.form["redirect_uri"] == CALLBACK
    digest = hashlib.sha256(redeemed.form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge
    [asked] = [asked for asked in setup.microsoft.asked if asked.endpoint == "dataverse"]
    assert (asked.method, asked.path) == ("GET", "/api/data/v9.2/WhoAmI")
    assert asked.headers["authorization"].startswith("Bearer ")
    assert setup.microsoft.count("graph") == 0


async def test_an_app_gets_a_one_time_code_for_its_verifier(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(returnAddresses=["com.acme.app:/in"])
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    browser, ended = await provider.sign_in(
        "alice", returnTo="com.acme.app:/in", response="code", codeChallenge=challenge
    )
    assert ended.headers["location"].startswith("com.acme.app:/in?code=")
    assert browser.cookies == {}
    body = {"code": query_of(ended)["code"], "codeVerifier": VERIFIER}
    reply = await setup.app.post("/api/client/auth/exchange", body)
    data = check_success(reply)
    assert (data["user"]["email"], data["user"]["clientId"]) == ("alice@contoso.example", provider.client)
    keys = Keys(data["token"], data["refreshToken"], reply.cookie("session"))
    assert await opened_by(setup.app, keys) == ["token", "cookie", "refresh token"]
    assert (await setup.app.me(data["token"])).data["session"]["method"] == "dynamics"


@rule("NO-TOKEN-IN-ADDRESS")
async def test_no_token_of_anybodys_travels_in_an_address(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    for response in ("cookie", "code"):
        browser, ended = await provider.sign_in("alice", returnTo=RETURN_TO, response=response)
        location = ended.headers["location"]
        given = query_of(ended)
        assert set(given) == ({"code"} if response == "code" else set())
        assert "eyJ" not in location
        for value in browser.cookies.values():
            assert value not in location


async def test_which_provider_is_meant(setup: MicrosoftSetup) -> None:
    """By name within the client, or else the only provider of its kind, but never one of another kind."""
    provider = await setup.dynamics(name="crm")
    await setup.entra(provider.client)
    app, browser = setup.app, Browser(setup.app)
    for query in (f"client={provider.client}", f"client={provider.client}&provider=crm"):
        assert (await app.get(f"{START}?{query}")).status == 302
    check_refusal(await app.get(f"{START}?provider=crm"), 404, "NOT_FOUND")
    header = {"X-Client-ID": provider.client}
    assert (await app.get(START, headers=header)).status == 302
    check_refusal(await app.get(f"{START}?client={provider.client}&provider=other"), 404, "NOT_FOUND")
    check_refusal(await app.get(f"{START}?client=globex&provider=crm"), 404, "NOT_FOUND")
    check_refusal(await app.get(START), 400, "VALIDATION_ERROR")
    check_refusal(await browser.start("oidc", client=provider.client, provider="crm"), 404, "NOT_FOUND")
    await setup.dynamics(provider.client)
    check_refusal(await app.get(f"{START}?client={provider.client}"), 400, "VALIDATION_ERROR")


async def test_the_sign_in_page_learns_the_way_in_and_its_address(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(domains=["dynamics-contoso.example"], displayName="Dynamics")
    found = await setup.app.post("/api/client/auth/discover", {"email": "x@dynamics-contoso.example"})
    [way] = found.data["providers"]
    assert (way["kind"], way["displayName"], way["clientId"]) == ("dynamics", "Dynamics", provider.client)
    assert way["url"] == f"{BASE}{START}?client={provider.client}&provider={provider.name}" == provider.made["startUrl"]
    assert provider.made["serviceProvider"] == {"callbackUrl": CALLBACK}
    started = await Browser(setup.app).send("GET", way["url"])
    assert started.headers["location"].startswith(setup.microsoft.base)


async def test_a_login_hint_is_handed_on(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    started = await Browser(setup.app).start("ms-dynamics", client=provider.client, loginHint="bob@contoso.example")
    assert query_of(started)["login_hint"] == "bob@contoso.example"
