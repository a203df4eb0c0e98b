"""Redirects and other responses without JSON have the same headers as all others."""

from __future__ import annotations

import pytest

from tests.support.application import App, Reply
from tests.support.envelope import check_headers, check_refusal, check_success
from tests.support.oidc_op import provider
from tests.support.rules import rule
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import ACS, RETURN_TO, Browser, add_oidc, add_saml, entity_id, request_of

pytestmark = pytest.mark.one_store

BASE = "/api/client/auth"


def check_redirect(reply: Reply, status: int) -> str:
    """Check an empty success envelope with no-store; returns the address."""
    assert check_success(reply, status) == {}
    assert reply.headers["cache-control"] == "no-store"
    assert len(reply.headers.get_list("location")) == 1
    return str(reply.headers["location"])


async def test_every_redirect_of_an_openid_sign_in_is_in_the_envelope(app: App) -> None:
    with provider(app.clock) as op:
        op.user |= {"email": "ada@redirects.example"}
        made = await add_oidc(app, op)
        browser = Browser(app)
        started = await browser.start("oidc", client="acme", provider=made["name"], returnTo=RETURN_TO)
        assert check_redirect(started, 302).startswith(op.issuer)
        ended = await browser.send("GET", op.visit(started.headers["location"]))
        assert check_redirect(ended, 302) == RETURN_TO


@rule("NO-TOKEN-IN-ADDRESS")
async def test_every_redirect_of_a_saml_sign_in_is_in_the_envelope(app: App) -> None:
    idp = Idp(issuer="http://www.okta.com/exkredirects")
    made = await add_saml(app, idp)
    browser = Browser(app)
    started = await browser.start("okta-saml", client="acme", provider=made["name"], returnTo=RETURN_TO)
    assert check_redirect(started, 302).startswith("https://idp.example/sso?")
    request, relay_state = request_of(started)
    response = idp.response(
        entity_id("acme"), ACS, name_id="ada@saml.example", in_response_to=request.get("ID"), now_ms=app.clock.now_ms()
    )
    ended = await browser.post_form(ACS, SAMLResponse=response, RelayState=relay_state)
    # 303 and not 307, because the browser must not post the assertion again (RFC 9700, section 4.12).
    assert check_redirect(ended, 303) == RETURN_TO


async def test_the_page_that_posts_to_a_provider_can_do_that_and_nothing_else(app: App) -> None:
    idp = Idp(issuer="http://www.okta.com/exkposts")
    binding = {"binding": "post", "postUrl": "https://idp.example/sso/post"}
    made = await add_saml(app, idp, saml=binding)
    reply = await app.get(f"{BASE}/okta-saml?client=acme&provider={made['name']}")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["cache-control"] == "no-store"
    policies = reply.headers.get_list("content-security-policy")
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]
    assert "form-action https:;" in policies[0]
    assert "unsafe" not in policies[0]
    assert reply.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_metadata_is_xml_with_the_headers_of_all_answers(app: App) -> None:
    reply = await app.get(f"{BASE}/okta-saml/metadata?client=acme")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/samlmetadata+xml; charset=utf-8")
    check_headers(reply)
    check_refusal(await app.get(f"{BASE}/okta-saml/metadata"), 400, "VALIDATION_ERROR")
    check_refusal(await app.get(f"{BASE}/okta-saml/metadata?client=no-such"), 404, "NOT_FOUND")


async def test_what_fails_on_the_way_redirects_no_one(app: App) -> None:
    own = "oidc/callback/acme/okta"
    for path in ("oidc?client=acme&provider=no-such", "okta-saml?client=no-such", "oidc/callback", own):
        reply = await app.get(f"{BASE}/{path}")
        check_refusal(reply, reply.status, reply.code)
        assert reply.status in (401, 404)
        assert "location" not in reply.headers
