"""SAML sign-in by JSON, by form post, and started at the provider."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.accounts import Keys, new_client, new_user, opened_by
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.rules import rule
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import (
    ACS,
    RETURN_TO,
    Browser,
    add_saml,
    authn_request,
    check_no_one_got_in,
    entity_id,
    flow_cookies,
    saml_provider,
)

pytestmark = pytest.mark.one_store

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # from RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_the_json_call_answers_like_sign_in(app: App) -> None:
    idp = Idp(issuer="http://www.okta.com/exkjson")
    await add_saml(app, idp, groupRoles=[{"group": "Operators", "roles": ["Operator"]}])
    response = idp.response(
        entity_id("acme"),
        ACS,
        name_id="grace@saml.example",
        attributes={"firstName": ["Grace"], "lastName": ["Hopper"], "groups": ["Everyone", "Operators"]},
        now_ms=app.clock.now_ms(),
    )
    data = (await app.post("/api/client/auth/okta-saml", {"samlResponse": response})).data
    assert data["user"]["email"] == "grace@saml.example"
    assert set(data["user"]["roles"]) == {"Operator", "Viewer"}
    me = (await app.me(data["token"])).data
    assert (me["user"]["firstName"], me["session"]["method"]) == ("Grace", "saml")
    replayed = await app.post("/api/client/auth/okta-saml", {"samlResponse": response})
    assert (replayed.status, replayed.code) == (401, "SSO_FAILED")


async def test_the_json_calls_answer_has_the_members_and_headers_of_a_password_sign_in(app: App) -> None:
    okta = await saml_provider(app)
    by_saml, by_password = await okta.call(okta.response("shape@saml.example")), await app.sign_in(client="acme")
    data, other = check_success(by_saml), check_success(by_password)
    assert {name: type(value) for name, value in data.items()} == {name: type(value) for name, value in other.items()}
    assert data["user"].keys() == other["user"].keys()
    assert isinstance(data["user"]["id"], int)
    assert (data["user"]["clientId"], data["expiresIn"]) == ("acme", other["expiresIn"])
    assert set(by_saml.headers) == set(by_password.headers)
    assert by_saml.headers["cache-control"] == "no-store"


async def test_all_three_keys_open_one_session(app: App) -> None:
    okta = await saml_provider(app)
    reply = await okta.call(okta.response("keys@saml.example"))
    keys = Keys(reply.data["token"], reply.data["refreshToken"], reply.cookie("session"))
    assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]
    assert (await app.post("/api/client/auth/sign-out", token=keys.token)).status == 200
    assert await opened_by(app, keys) == []


async def test_a_browser_that_asked_ends_at_its_return_address(app: App) -> None:
    okta = await saml_provider(app)
    browser = Browser(app)
    request_id, relay_state = await okta.start(browser, returnTo=RETURN_TO)
    response = okta.response("kay@saml.example", in_response_to=request_id)
    ended = await okta.post(browser, response, relay_state)
    assert (ended.status, ended.headers.get("location")) == (303, RETURN_TO), ended.text
    assert (await browser.me()).data["user"]["email"] == "kay@saml.example"
    assert not flow_cookies(browser)


@rule("NO-TOKEN-IN-ADDRESS")
async def test_what_the_browser_is_sent_on_with_holds_no_token(app: App) -> None:
    okta = await saml_provider(app)
    ended = await okta.sign_in(Browser(app), "quiet@saml.example")
    assert ended.headers["location"] == RETURN_TO
    assert ended.json == {"success": True, "data": {}}
    assert ended.headers["cache-control"] == "no-store"
    assert ended.headers["referrer-policy"] == "no-referrer"


async def test_the_same_person_is_the_same_user_by_either_way(app: App) -> None:
    okta = await saml_provider(app)
    browser = Browser(app)
    await okta.sign_in(browser, "twice@saml.example")
    first = (await browser.me()).data["user"]["id"]
    assert (await okta.call(okta.response("twice@saml.example"))).data["user"]["id"] == first
    assert (await okta.call(okta.response("another@saml.example"))).data["user"]["id"] != first


@rule("RETURN-ADDRESS")
@pytest.mark.parametrize("listed", [[], ["https://one.example/", "com.acme.app:/in"]], ids=["none", "two"])
async def test_a_form_post_that_no_one_asked_for_ends_at_the_account(app: App, listed: list[str]) -> None:
    client = await new_client(app)
    okta = await saml_provider(app, client, returnAddresses=listed)
    browser = Browser(app)
    ended = await okta.post(browser, okta.response("lost@saml.example"))
    assert ended.status == 303
    assert ended.headers["location"] == "/account"
    assert "lost@saml.example" in (await browser.send("GET", "/account")).text


@rule("DEVIATION-SAML-UNSOLICITED")
async def test_where_a_provider_must_not_begin_no_one_can_sign_in_unasked(app: App) -> None:
    okta = await saml_provider(app, saml={"allowIdpInitiated": False})
    check_no_one_got_in(await okta.call(okta.response()))
    browser = Browser(app)
    check_no_one_got_in(await okta.post(browser, okta.response()))
    check_no_one_got_in(await okta.post(browser, okta.response(), RETURN_TO))
    assert (await okta.sign_in(browser, "asked@saml.example")).status == 303
    assert (await browser.me()).data["user"]["email"] == "asked@saml.example"


async def test_an_app_gets_a_one_time_code_and_no_cookie(app: App) -> None:
    okta = await saml_provider(app, returnAddresses=["com.acme.app:/in?x=1"])
    browser = Browser(app)
    request_id, relay_state = await okta.start(
        browser, response="code", returnTo="com.acme.app:/in?x=1", codeChallenge=CHALLENGE
    )
    ended = await okta.post(browser, okta.response("app@saml.example", in_response_to=request_id), relay_state)
    assert ended.status == 303
    where = urlsplit(ended.headers["location"])
    query = parse_qs(where.query)
    assert (where.scheme, where.path, query["x"], set(query)) == ("com.acme.app", "/in", ["1"], {"x", "code"})
    assert browser.cookies == {}
    body = {"code": query["code"][0], "codeVerifier": VERIFIER}
    exchanged = check_success(await app.post("/api/client/auth/exchange", body))
    assert exchanged["user"]["email"] == "app@saml.example"
    assert (await app.me(exchanged["token"])).data["session"]["method"] == "saml"
    again = await app.post("/api/client/auth/exchange", body)
    assert (again.status, again.code) == (401, "SSO_FAILED")


async def test_a_signed_in_user_links_the_provider_though_the_post_brings_no_session(app: App) -> None:
    """The provider's post comes from another site, so the browser doesn't send the session cookie (``Lax``)."""
    okta = await saml_provider(app, createUsers=False, defaultRoles=[])
    user_id, email = await new_user(app, password="granite-otter-47-lantern")
    token = (await app.sign_in(email, "granite-otter-47-lantern", client="acme")).data["token"]
    body, path = {"provider": okta.name, "returnTo": RETURN_TO}, "/api/client/auth/identities"
    browser = Browser(app)
    asked = await browser.send("POST", path, body=body, token=token)
    location = parse_qs(urlsplit(asked.data["location"]).query)
    request_id = authn_request(asked.data["location"]).get("ID")
    response = okta.response("Linked.Subject", in_response_to=request_id)
    check_no_one_got_in(await okta.post(Browser(app), response, location["RelayState"][0]))
    ended = await okta.post(browser, response, location["RelayState"][0])
    assert (ended.status, ended.headers["location"]) == (303, RETURN_TO), ended.text
    assert "session" not in browser.cookies
    assert (await okta.call(okta.response("Linked.Subject"))).data["user"]["id"] == user_id
