"""An invited person starts at a provider with a POST, so that our URLs never contain the invitation's token."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support.accounts import act_on, new_client, new_user
from tests.support.application import App, running
from tests.support.envelope import check_refusal, check_success
from tests.support.people import oidc_provider, session_of
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, act_on_provider, authn_request, flow_cookies, saml_provider
from tests.support.user_management import NEW, accept

pytestmark = pytest.mark.one_store

START, LOOK, FORM = "/api/client/auth/link/start", "/api/client/auth/link", "/api/client/auth/okta-saml/form"
BY_POST = {"redirectUrl": "", "binding": "post", "postUrl": "https://idp.example/sso/post"}


async def invitation(app: App, client: str) -> tuple[int, str]:
    """A new user, and the token of an open invitation."""
    user_id, _ = await new_user(app, client)
    path = f"/api/admin/clients/{client}/users/{user_id}/invitation"
    return user_id, str(check_success(await app.post(path, token=await app.admin_token()), 201)["token"])


async def begin(browser: Browser, token: str, provider: str, **options: object) -> str:
    """The URL that the browser is redirected to."""
    reply = await browser.send("POST", START, body={"token": token, "provider": provider}, **options)
    location = str(check_success(reply)["location"])
    assert token not in location
    assert token not in str(reply.headers)
    return location


@rule("ONE-TIME-LINK")
async def test_an_invited_person_can_sign_in_through_an_openid_provider(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        user_id, token = await invitation(app, company.client)
        looked = check_success(await app.post(LOOK, {"token": token}))
        [way] = looked["providers"]
        assert way["name"] == company.name
        assert "invitation" not in way["url"]
        browser = Browser(app)
        location = await begin(browser, token, way["name"])
        assert len(flow_cookies(browser)) == 1
        company.knows("ada", "ada@elsewhere.example")
        assert (await browser.send("GET", company.op.visit(location))).status == 302
        assert (await session_of(browser))["user"]["id"] == user_id
        check_refusal(await app.post(START, {"token": token, "provider": company.name}), 401, "INVALID_TOKEN")


@pytest.mark.parametrize("binding", ["redirect", "post"])
async def test_an_invited_person_can_sign_in_through_a_saml_provider(app: App, binding: str) -> None:
    client = await new_client(app)
    company = await saml_provider(app, client, saml=BY_POST if binding == "post" else None, createUsers=False)
    user_id, token = await invitation(app, client)
    browser = Browser(app)
    location = await begin(browser, token, company.name)
    if binding == "post":
        assert urlsplit(location).path == FORM
        page = await browser.send("GET", location)
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "https://idp.example/sso/post" in page.text
        assert token not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        request_id, relay_state = posted(page.text)
        outsider = await Browser(app).send("GET", location)
        check_refusal(outsider, 401, "SSO_FAILED")
    else:
        request_id = authn_request(location).get("ID", "")
        [relay_state] = parse_qs(urlsplit(location).query)["RelayState"]
    response = company.response("ada@elsewhere.example", in_response_to=request_id)
    assert (await company.post(browser, response, relay_state)).status == 303
    assert (await session_of(browser))["user"]["id"] == user_id


def posted(page: str) -> tuple[str, str]:
    """The request ID and RelayState in a page that posts a form."""
    fields = {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page)}
    request = base64.b64decode(fields["SAMLRequest"]).decode()
    [request_id] = re.findall(r'\bID="([^"]+)"', request)
    return request_id, fields["RelayState"]


async def test_who_is_rejected(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company, oidc_provider(app) as other:
        user_id, token = await invitation(app, company.client)
        base = f"/api/admin/clients/{company.client}/users/{user_id}"
        link = check_success(await app.post(f"{base}/password-reset", token=await app.admin_token()), 201)["link"]

        async def attempt(token: str, provider: str, **headers: str) -> str:
            reply = await app.post(START, {"token": token, "provider": provider}, headers=headers)
            assert "set-cookie" not in reply.headers
            return reply.code

        assert await attempt("made-up", company.name) == "INVALID_TOKEN"
        assert await attempt(link.partition("#")[2], company.name) == "INVALID_TOKEN"  # a reset link doesn't work here
        assert await attempt(token, other.name) == "NOT_FOUND"
        assert await attempt(token, company.name, **{"X-Client-ID": other.client}) == "FORBIDDEN"
        await act_on_provider(app, company.client, company.name, "switch-off")
        assert await attempt(token, company.name) == "NOT_FOUND"
        await act_on_provider(app, company.client, company.name, "switch-on")
        await act_on(app, f"{company.client}/users/{user_id}/deactivate")
        assert await attempt(token, company.name) == "INVALID_TOKEN"


async def test_the_password_is_still_a_way_in_after_a_start(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        _, token = await invitation(app, company.client)
        await begin(Browser(app), token, company.name)
        check_success(await accept(app, token, NEW))


@pytest.fixture
async def public(database_url: str) -> AsyncIterator[App]:
    """An installation with subdomains for clients."""
    async with running(database_url, MANIFEST_PUBLIC_URL="https://auth.example.com") as app:
        yield app


@rule("ONE-TIME-LINK")
async def test_no_redirect_of_ours_passes_an_invitation_on(public: App) -> None:
    """A browser on a client's subdomain is redirected to the public address, but without the token."""
    client = await new_client(public)
    company = await saml_provider(public, client, createUsers=False)
    _, token = await invitation(public, client)
    host = {"Host": f"{client}.auth.example.com"}
    query = urlencode({"provider": company.name, "invitation": token})
    for path in ("oidc", "okta-saml", "ms-dynamics"):
        reply = await public.get(f"/api/client/auth/{path}?{query}", headers=host)
        error = check_refusal(reply, 400, "VALIDATION_ERROR")
        assert [detail["field"] for detail in error["details"]] == ["invitation"]
        assert token not in reply.text + str(reply.headers)
    check_refusal(await public.post(START, {"token": token, "provider": company.name}, headers=host), 400,
                  "VALIDATION_ERROR")  # fmt: skip
    begun = await public.get(f"/api/client/auth/okta-saml?{query}&client={client}")
    assert begun.status == 302
    assert token not in str(begun.headers)


async def test_a_page_of_ours_puts_no_token_into_an_address(app: App) -> None:
    page = (await app.get("/welcome")).text
    assert "invitation=" not in page
    assert "encodeURIComponent" not in page
