"""Contract, section 5, SAML: the seed page's JSON call, the browser's form post, and who is let in by them."""

from __future__ import annotations

import base64
import zlib
from urllib.parse import parse_qs, urlsplit

from lxml import etree

from tests.support.house import App, Reply
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import ACS, RETURN_TO, Browser, add_saml, entity_id


def request_of(reply: Reply) -> tuple[etree._Element, str]:
    """The AuthnRequest and RelayState of an answer that sends to a provider."""
    query = parse_qs(urlsplit(reply.headers["location"]).query)
    document = zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15)
    return etree.fromstring(document), query["RelayState"][0]


async def test_the_seeds_json_call_answers_like_sign_in(app: App) -> None:
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


async def test_a_browser_that_asked_ends_at_its_return_address(app: App) -> None:
    idp = Idp(issuer="http://www.okta.com/exkform")
    made = await add_saml(app, idp)
    browser = Browser(app)
    started = await browser.start("okta-saml", provider=made["name"], client="acme", returnTo=RETURN_TO)
    assert started.status == 302, started.text
    request, relay_state = request_of(started)
    response = idp.response(
        entity_id("acme"), ACS, name_id="kay@saml.example", in_response_to=request.get("ID"), now_ms=app.clock.now_ms()
    )
    ended = await browser.post_form(ACS, SAMLResponse=response, RelayState=relay_state)
    assert (ended.status, ended.headers.get("location")) == (303, RETURN_TO), ended.text
    assert (await browser.me()).data["user"]["email"] == "kay@saml.example"
