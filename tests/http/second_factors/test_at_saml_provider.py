"""Responsibility for the second factor of a sign-in at a SAML provider."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from lxml import etree, html

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import time_text
from tests.support.second_factors import REQUIRED, SIGN_IN
from tests.support.single_sign_on import Browser, SamlProvider, request_of, saml_provider
from tests.support.system_admins import Phone

pytestmark = pytest.mark.one_store

MFA = "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract"
OTHER = "https://refeds.org/profile/mfa"
CLAIMS: dict[str, Any] = {"secondFactor": "claims", "acr": [MFA, OTHER]}
SAML = "urn:oasis:names:tc:SAML:2.0:"
GUARDED = ("DELETE", "/api/client/auth/identities/999999")


async def company_of(app: App, **members: Any) -> SamlProvider:
    return await saml_provider(app, await new_client(app, **REQUIRED), **members)


async def amr(browser: Browser) -> list[str]:
    return list((await browser.me()).data["session"]["amr"])


async def test_a_context_of_the_list_is_two_factors_for_browsers_and_programs(app: App) -> None:
    peer = await company_of(app, **CLAIMS)
    browser = Browser(app)
    assert (await peer.sign_in(browser, authn_context=OTHER)).status == 303
    assert await amr(browser) == ["provider", "mfa"]
    data = check_success(await peer.call(peer.response(authn_context=MFA)))
    me = await app.get("/api/client/auth/me", token=data["token"])
    assert me.data["session"]["amr"] == ["provider", "mfa"]


@rule("SECOND-FACTOR-AT-PROVIDERS")
@matrix("context", ["urn:oasis:names:tc:SAML:2.0:ac:classes:Password", f"{MFA}s", "mfa", None])
async def test_another_context_and_none_are_not(app: App, context: str | None) -> None:
    peer = await company_of(app, **CLAIMS, amr=["mfa"])
    browser = Browser(app)
    answer = await peer.sign_in(browser, authn_context=context, attributes={"amr": ["mfa"], "acr": [MFA]})
    assert answer.headers["location"].startswith("/sign-in/enrol?s=")
    assert "session" not in browser.cookies
    refused = check_refusal(await peer.call(peer.response(authn_context=context)), 401, "MFA_REQUIRED")
    assert [detail["field"] for detail in refused["details"]] == ["enrol"]


async def test_a_program_goes_on_with_the_challenge_and_an_assertion_counts_once(app: App) -> None:
    peer = await company_of(app, secondFactor="ask")
    response = peer.response(authn_context=MFA)
    challenge = check_refusal(await peer.call(response), 401, "MFA_REQUIRED")["challenge"]
    check_refusal(await peer.call(response), 401, "SSO_FAILED")
    begun = check_success(await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
    phone = Phone(app, begun["secret"])
    check_success(await app.post(f"{SIGN_IN}/continue", {"challenge": challenge, "otp": phone.code()}))
    app.clock.advance(30)
    refused = check_refusal(await peer.call(peer.response()), 401, "MFA_REQUIRED")
    assert [detail["field"] for detail in refused["details"]] == ["otp", "recoveryCode"]
    answer = {"challenge": refused["challenge"], "otp": phone.code()}
    data = check_success(await app.post(f"{SIGN_IN}/continue", answer))
    session = (await app.get("/api/client/auth/me", token=data["token"])).data["session"]
    assert (session["amr"], session["method"]) == (["provider", "otp", "mfa"], "saml")


async def test_the_instant_is_the_moment_of_the_proof(app: App) -> None:
    peer = await company_of(app, **CLAIMS)
    for ago, code in ((5, "NOT_FOUND"), (3600, "REAUTHENTICATION_REQUIRED")):
        browser = Browser(app)
        instant = time_text(app.clock.now_ms() - ago * 1000)
        await peer.sign_in(browser, authn_context=MFA, authn_instant=instant)
        assert (await browser.send(*GUARDED)).code == code


@matrix("binding", ["redirect", "post"])
@matrix("signed", [False, True])
async def test_the_contexts_are_asked_for(app: App, binding: str, signed: bool) -> None:
    saml = {"binding": binding, "postUrl": "https://idp.example/post", "signRequests": signed}
    peer = await company_of(app, **CLAIMS, saml=saml)
    if binding == "redirect":
        request, _ = request_of(await Browser(app).start("okta-saml", provider=peer.name, client=peer.client))
        children = [child.tag.partition("}")[2] for child in request]
        assert children == ["Issuer", "RequestedAuthnContext"]
        [asked] = request.findall(f"{{{SAML}protocol}}RequestedAuthnContext")
        assert asked.get("Comparison") == "exact"
        assert [one.text for one in asked.findall(f"{{{SAML}assertion}}AuthnContextClassRef")] == [MFA, OTHER]
        await peer.admin("PATCH", body={"secondFactor": "ask"})
        request, _ = request_of(await Browser(app).start("okta-saml", provider=peer.name, client=peer.client))
        assert request.find(f"{{{SAML}protocol}}RequestedAuthnContext") is None
    else:
        page = await Browser(app).start("okta-saml", provider=peer.name, client=peer.client)
        assert page.status == 200
        children = [child.tag.partition("}")[2] for child in posted(page.text)]
        assert children == ["Issuer", *(["Signature"] if signed else []), "RequestedAuthnContext"]


def posted(page: str) -> Any:
    """The request in a page that posts it."""
    value = html.fromstring(page).xpath("string(//input[@name='SAMLRequest']/@value)")
    return etree.fromstring(base64.b64decode(str(value)))
