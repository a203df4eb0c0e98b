"""Users without a password re-authenticate at their identity provider, as the same person and just now."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.accounts import new_client, settle, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.saml_idp import time_text
from tests.support.single_sign_on import Browser, add_oidc, authn_request, saml_provider

pytestmark = pytest.mark.one_store

AT_PROVIDER = "/api/client/auth/reauthenticate/provider"
HOME = "https://app.example/home"
OTHERS = {"sub": "subject-2", "email": "bob@acme.example", "email_verified": True}


class Company:
    """A client with users who sign in at a provider, and one of them in a browser."""

    def __init__(self, app: App, op: Op, client: str, provider: str, browser: Browser) -> None:
        self.app, self.op, self.client, self.provider, self.browser = app, op, client, provider, browser

    async def act(self) -> Reply:
        return await self.browser.send("DELETE", "/api/client/auth/identities/999999")

    async def begin(self, **body: str) -> Reply:
        return await self.browser.send("POST", AT_PROVIDER, body={"returnTo": HOME, **body})

    async def again(self) -> Reply:
        """Go to the provider and back; returns the callback's response."""
        address = check_success(await self.begin())["location"]
        return await self.browser.send("GET", self.op.visit(address))

    def seconds_ago(self, seconds: float) -> float:
        return self.app.clock.now_ms() / 1000 - seconds


@pytest.fixture
async def company(app: App, op: Op) -> Company:
    client = await new_client(app, returnAddresses=[HOME])
    rules: dict[str, Any] = {"createUsers": True, "defaultRoles": ["Viewer"]}
    await add_oidc(app, op, client, name="company", **rules)
    browser = Browser(app)
    assert (await browser.sign_in_oidc(op, "company", client)).status == 302
    return Company(app, op, client, "company", browser)


async def test_a_sign_in_counts_from_the_time_that_the_provider_says(company: Company) -> None:
    check_refusal(await company.act(), 404, "NOT_FOUND")
    company.app.clock.advance(594)
    check_refusal(await company.act(), 404, "NOT_FOUND")
    company.app.clock.advance(1)  # the person authenticated five seconds before the sign-in
    refused = check_refusal(await company.act(), 403, "REAUTHENTICATION_REQUIRED")
    assert [detail["field"] for detail in refused["details"]] == ["provider"]


async def test_a_sign_in_without_a_time_proves_no_moment(company: Company) -> None:
    company.op.claims["auth_time"] = None
    browser = Browser(company.app)
    await browser.sign_in_oidc(company.op, company.provider, company.client)
    assert (await browser.me()).data["session"]["authenticatedAt"] is None
    check_refusal(await browser.send("DELETE", "/api/client/auth/identities/999999"), 403, "REAUTHENTICATION_REQUIRED")


async def test_the_provider_is_asked_to_authenticate_again_and_that_opens_the_act(company: Company) -> None:
    company.app.clock.advance(3600)
    before = (await company.browser.me()).data["session"]["id"]
    address = check_success(await company.begin())["location"]
    asked = parse_qs(urlsplit(address).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    company.op.claims["auth_time"] = company.seconds_ago(0.25)  # floats are allowed
    back = await company.browser.send("GET", company.op.visit(address))
    assert (back.status, back.headers["location"]) == (302, HOME)
    session = (await company.browser.me()).data["session"]
    assert (session["id"], session["amr"]) == (before, ["provider"])
    check_refusal(await company.act(), 404, "NOT_FOUND")
    events = [one.event for one in await trail(company.app, company.client)]
    assert events[-1] == "reauthenticated"
    assert events.count("signed_in") == 1


@rule("RECENT-PROOF")
@matrix(("ago", "counts"), [(300, 300), (0, 600), (-30, 600)])  # a fast clock doesn't add time
async def test_a_proof_counts_from_the_time_that_the_provider_says(company: Company, ago: int, counts: int) -> None:
    company.app.clock.advance(3600)
    company.op.claims["auth_time"] = company.seconds_ago(ago)
    assert (await company.again()).status == 302
    company.app.clock.advance(counts - 1)
    check_refusal(await company.act(), 404, "NOT_FOUND")
    company.app.clock.advance(1)
    check_refusal(await company.act(), 403, "REAUTHENTICATION_REQUIRED")


@rule("RECENT-PROOF")
async def test_another_person_of_the_provider_verifies_nothing(company: Company) -> None:
    await Browser(company.app).sign_in_oidc(company.op, company.provider, company.client)
    company.app.clock.advance(3600)
    mine = company.op.user
    company.op.user = OTHERS
    await Browser(company.app).sign_in_oidc(company.op, company.provider, company.client)
    check_refusal(await company.again(), 401, "SSO_FAILED")
    check_refusal(await company.act(), 403, "REAUTHENTICATION_REQUIRED")
    company.op.user = mine
    assert (await company.again()).status == 302


@rule("RECENT-PROOF")
@matrix("ago", [600, 3600, None, "now", True])
async def test_an_old_time_and_none_at_all_are_rejected(company: Company, ago: Any) -> None:
    company.app.clock.advance(3600)
    company.op.claims["auth_time"] = company.seconds_ago(ago) if type(ago) is int else ago
    check_refusal(await company.again(), 401, "SSO_FAILED")
    check_refusal(await company.act(), 403, "REAUTHENTICATION_REQUIRED")
    assert "reauthenticated" not in [one.event for one in await trail(company.app, company.client)]


async def test_a_provider_that_sends_no_time_counts_where_its_rule_says_so(company: Company) -> None:
    company.app.clock.advance(3600)
    company.op.claims["auth_time"] = None
    path = f"/api/admin/clients/{company.client}/providers/{company.provider}"
    token = await company.app.admin_token()
    check_success(await company.app.send("PATCH", path, {"stepUpWithoutTime": True}, token=token))
    assert (await company.again()).status == 302
    check_refusal(await company.act(), 404, "NOT_FOUND")
    company.op.claims["auth_time"] = company.seconds_ago(3600)  # but an old one that is sent isn't accepted
    company.app.clock.advance(3600)
    check_refusal(await company.again(), 401, "SSO_FAILED")


async def test_a_foreign_browser_cannot_finish_it_and_an_answer_counts_once(company: Company) -> None:
    company.app.clock.advance(3600)
    address = check_success(await company.begin())["location"]
    callback = company.op.visit(address)
    check_refusal(await Browser(company.app).send("GET", callback), 401, "SSO_FAILED")
    assert (await company.browser.send("GET", callback)).status == 302
    check_refusal(await company.browser.send("GET", callback), 401, "SSO_FAILED")


async def test_a_session_that_ended_in_the_meantime_is_not_proved(company: Company) -> None:
    address = check_success(await company.begin())["location"]
    check_success(await company.browser.send("POST", "/api/client/auth/sign-out"))
    check_refusal(await company.browser.send("GET", company.op.visit(address)), 401, "SSO_FAILED")


async def test_a_foreign_return_address_and_a_provider_without_an_identity_are_rejected(company: Company) -> None:
    check_refusal(await company.begin(returnTo="https://evil.example/"), 400, "VALIDATION_ERROR")
    check_refusal(await company.begin(provider="another"), 404, "NOT_FOUND")
    address = check_success(await company.begin())["location"]
    await settle(company.app, company.client, returnAddresses=["https://app.example/other"])
    check_refusal(await company.browser.send("GET", company.op.visit(address)), 401, "SSO_FAILED")


async def test_saml_is_asked_with_force_authn_and_counts_from_its_instant(app: App) -> None:
    client = await new_client(app, returnAddresses=[HOME])
    peer = await saml_provider(app, client, createUsers=True, defaultRoles=["Viewer"])
    browser = Browser(app)
    await peer.sign_in(browser)
    app.clock.advance(3600)
    act = ("DELETE", "/api/client/auth/identities/999999")
    check_refusal(await browser.send(*act), 403, "REAUTHENTICATION_REQUIRED")
    address = check_success(await browser.send("POST", AT_PROVIDER, body={"returnTo": HOME}))["location"]
    asked = authn_request(address)
    assert asked.get("ForceAuthn") == "true"
    state = parse_qs(urlsplit(address).query)["RelayState"][0]
    old = peer.response(in_response_to=asked.get("ID"), authn_instant=time_text(app.clock.now_ms() - 600_000))
    check_refusal(await peer.post(browser, old, state), 401, "SSO_FAILED")
    check_refusal(await browser.send(*act), 403, "REAUTHENTICATION_REQUIRED")
    address = check_success(await browser.send("POST", AT_PROVIDER, body={"returnTo": HOME}))["location"]
    asked, state = authn_request(address), parse_qs(urlsplit(address).query)["RelayState"][0]
    assert (await peer.post(browser, peer.response(in_response_to=asked.get("ID")), state)).status == 303
    check_refusal(await browser.send(*act), 404, "NOT_FOUND")
