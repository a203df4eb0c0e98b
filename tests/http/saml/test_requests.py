"""Our SAML authentication requests, by redirect and by post, and their signatures."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from tests.support.accounts import new_client
from tests.support.application import App, Reply
from tests.support.directory_claims import pin
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.saml_idp import ASSERTION, PROTOCOL, time_text
from tests.support.saml_signing import DS, canonical
from tests.support.single_sign_on import (
    RETURN_TO,
    Browser,
    SamlProvider,
    add_oidc,
    flow_cookies,
    request_of,
    saml_provider,
)

pytestmark = pytest.mark.one_store

POST_URL = "https://idp.example/sso/post?tenant=1&x=(2)"
SIGNED = {"signRequests": True}
BY_POST = {"binding": "post", "postUrl": POST_URL}


async def start(okta: SamlProvider, **query: str) -> Reply:
    return await Browser(okta.app).start("okta-saml", client=okta.client, provider=okta.name, **query)


async def our_keys(okta: SamlProvider, use: str) -> list[rsa.RSAPublicKey]:
    """The keys in our metadata for the provider."""
    text = (await okta.app.get(f"/api/client/auth/okta-saml/metadata?client={okta.client}&provider={okta.name}")).text
    found = etree.fromstring(text.encode()).findall(f".//{{*}}KeyDescriptor[@use='{use}']//{{{DS}}}X509Certificate")
    keys = [x509.load_der_x509_certificate(base64.b64decode(one.text or "")).public_key() for one in found]
    assert all(isinstance(key, rsa.RSAPublicKey) for key in keys)
    return keys  # type: ignore[return-value]


def fields_of(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page)}


async def test_the_request_says_who_asks_when_and_where_the_answer_shall_go(app: App) -> None:
    okta = await saml_provider(app)
    started = await start(okta)
    assert started.status == 302
    assert started.headers["cache-control"] == "no-store"
    assert started.headers["location"].startswith("https://idp.example/sso?SAMLRequest=")
    request, relay_state = request_of(started)
    assert request.tag == f"{{{PROTOCOL}}}AuthnRequest"
    assert {name: request.get(name) for name in request.keys()} == {  # noqa: SIM118 - an element, not a dict
        "ID": request.get("ID"),
        "Version": "2.0",
        "IssueInstant": time_text(app.clock.now_ms()),
        "Destination": "https://idp.example/sso",
        "AssertionConsumerServiceURL": okta.acs,
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
    }
    assert [child.text for child in request.findall(f"{{{ASSERTION}}}Issuer")] == [okta.audience]
    assert re.fullmatch(r"[A-Za-z_][\w.-]{21,}", request.get("ID", ""))
    assert 22 <= len(relay_state) <= 80  # SAML bindings, 3.4.3


async def test_no_two_requests_have_anything_in_common_that_could_be_guessed(app: App) -> None:
    okta = await saml_provider(app)
    browser = Browser(app)
    both = [await okta.start(browser) for _ in range(2)]
    assert len({request_id for request_id, _ in both}) == len({state for _, state in both}) == 2
    values = flow_cookies(browser)
    assert len(values) == len(set(values.values())) == 2
    for request_id, state in both:
        assert not any(value in (request_id, state) for value in values.values())


async def test_a_sign_on_address_with_a_query_keeps_it(app: App) -> None:
    okta = await saml_provider(app, saml={"redirectUrl": "https://idp.example/sso?idpid=C01&x=%2F"})
    location = (await start(okta)).headers["location"]
    assert location.startswith("https://idp.example/sso?idpid=C01&x=%2F&SAMLRequest=")


UNUSABLE = ["https://idp.example/'onclick=", "http://127.0.0.9/sso", "https://idp_1.example/", "https://i.example/?a#b"]


@matrix("address", UNUSABLE)
@matrix("member", ["redirectUrl", "postUrl"])
async def test_an_address_to_which_no_browser_is_sent_cannot_be_set(app: App, member: str, address: str) -> None:
    okta = await saml_provider(app, saml=BY_POST)
    refused = await okta.admin("PATCH", body={"saml": {member: address}})
    error = check_refusal(refused, 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [f"saml.{member}"]


async def test_requests_are_not_signed_unless_the_provider_wants_it(app: App) -> None:
    plain = await saml_provider(app)
    assert set(parse_qs(urlsplit((await start(plain)).headers["location"]).query)) == {"SAMLRequest", "RelayState"}
    posting = await saml_provider(app, saml=BY_POST)
    assert b"Signature" not in base64.b64decode(fields_of((await start(posting)).text)["SAMLRequest"])


def verify_query(location: str, key: rsa.RSAPublicKey) -> None:
    """Verify the exact octets of the query (SAML bindings 3.4.4.1)."""
    query = urlsplit(location).query
    signed, _, signature = query.partition("&Signature=")
    assert [pair.partition("=")[0] for pair in signed.split("&")] == ["SAMLRequest", "RelayState", "SigAlg"]
    assert parse_qs(signed)["SigAlg"] == ["http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"]
    key.verify(base64.b64decode(unquote_plus(signature)), signed.encode(), padding.PKCS1v15(), hashes.SHA256())


async def test_a_signed_redirect_verifies_with_the_certificate_in_our_metadata(app: App) -> None:
    okta = await saml_provider(app, saml=SIGNED)
    location = (await start(okta)).headers["location"]
    [key] = await our_keys(okta, "signing")
    verify_query(location, key)
    with pytest.raises(InvalidSignature):
        verify_query(location.replace("RelayState=", "RelayState=x"), key)
    other = await saml_provider(app, saml=SIGNED)
    with pytest.raises(InvalidSignature):
        verify_query(location, (await our_keys(other, "signing"))[0])


async def test_after_the_keys_rotation_requests_verify_with_a_certificate_in_our_metadata(app: App) -> None:
    okta = await saml_provider(app, saml=SIGNED)
    assert (await okta.admin("POST", "/rotate-key")).status == 200
    newest, *older = await our_keys(okta, "signing")
    assert len(older) == 1
    verify_query((await start(okta)).headers["location"], newest)


async def test_the_post_binding_is_a_page_that_posts_by_itself_and_can_do_nothing_else(app: App) -> None:
    okta = await saml_provider(app, saml=BY_POST)
    reply = await start(okta)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["cache-control"] == "no-store"
    assert any(line.startswith("sso-") for line in reply.headers.get_list("set-cookie"))
    [policy] = reply.headers.get_list("content-security-policy")
    scripts = re.findall(r"<script>(.*?)</script>", reply.text)
    digest = base64.b64encode(hashlib.sha256("".join(scripts).encode()).digest()).decode()
    assert (len(scripts), "<script " in reply.text) == (1, False)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert (rules["default-src"], rules["script-src"]) == ("'none'", f"'sha256-{digest}'")
    assert (rules["base-uri"], rules["frame-ancestors"]) == ("'none'", "'none'")
    assert "unsafe" not in policy
    [(action, method)] = [
        (unescape(form[1]), form[0]) for form in re.findall(r'<form method="(\w+)" action="([^"]*)"', reply.text)
    ]
    assert (method, action) == ("post", POST_URL)
    assert "<button" in reply.text  # for browsers without scripts
    fields = fields_of(reply.text)
    assert set(fields) == {"SAMLRequest", "RelayState"}
    request = etree.fromstring(base64.b64decode(fields["SAMLRequest"], validate=True))
    assert request.get("Destination") == POST_URL


async def test_a_browser_that_was_made_to_post_can_sign_in(app: App) -> None:
    okta = await saml_provider(app, saml={**BY_POST, **SIGNED})
    browser = Browser(app)
    page = await browser.start("okta-saml", client="acme", provider=okta.name)
    fields = fields_of(page.text)
    again = f"/api/client/auth/okta-saml/form?state={fields['RelayState']}"
    assert fields_of((await browser.send("GET", again)).text)["RelayState"] == fields["RelayState"]
    for other, path in ((Browser(app), again), (browser, f"{again}x")):
        refused = await other.send("GET", path)
        assert (refused.status, "SAMLRequest" in refused.text) == (401, False)
    request_id = etree.fromstring(base64.b64decode(fields["SAMLRequest"])).get("ID")
    ended = await okta.post(
        browser, okta.response("poster@saml.example", in_response_to=request_id), fields["RelayState"]
    )
    assert (ended.status, ended.headers["location"]) == (303, RETURN_TO)


async def test_a_signed_post_verifies_with_the_certificate_in_our_metadata(app: App) -> None:
    okta = await saml_provider(app, saml={**BY_POST, **SIGNED})
    document = base64.b64decode(fields_of((await start(okta)).text)["SAMLRequest"])
    [key] = await our_keys(okta, "signing")
    verify_enveloped(document, key)
    with pytest.raises((InvalidSignature, AssertionError)):
        verify_enveloped(document.replace(b"idp.example", b"idp.exbmple"), key)


def verify_enveloped(document: bytes, key: rsa.RSAPublicKey) -> None:
    """Verify an XML Signature manually: the digest of the request without its signature, and the signature over the
    digest."""
    request = etree.fromstring(document)
    assert [child.tag.rpartition("}")[2] for child in request][:2] == ["Issuer", "Signature"]  # the schema's order
    signature = request.find(f"{{{DS}}}Signature")
    assert signature is not None
    [reference] = signature.findall(f".//{{{DS}}}Reference")
    assert reference.get("URI") == f"#{request.get('ID')}"
    info = canonical(signature.find(f"{{{DS}}}SignedInfo"))  # type: ignore[arg-type]
    value = base64.b64decode(signature.findtext(f"{{{DS}}}SignatureValue") or "")
    digest = base64.b64decode(reference.findtext(f"{{{DS}}}DigestValue") or "")
    request.remove(signature)
    assert hashlib.sha256(canonical(request)).digest() == digest
    key.verify(value, info, padding.PKCS1v15(), hashes.SHA256())


HOSTILE = [
    RETURN_TO + "/", RETURN_TO + "?x", RETURN_TO.upper(), "https://evil.example/", "//evil.example/", "/\\evil.example",
    "https:app.acme.example/in", "javascript:alert(1)", " " + RETURN_TO, RETURN_TO + "\n", RETURN_TO + "#x",
    "https://app.acme.example@evil.example/in", "https://app.acme.example/in/../in", "/in", "data:text/html,x",
]  # fmt: skip


@matrix("address", HOSTILE)
async def test_a_sign_in_does_not_begin_for_an_address_that_is_not_listed(okta: SamlProvider, address: str) -> None:
    reply = await start(okta, returnTo=address)
    error = check_refusal(reply, 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == ["returnTo"]
    assert "location" not in reply.headers
    assert "set-cookie" not in reply.headers


async def test_which_provider_is_meant(app: App) -> None:
    client = await new_client(app)

    async def asked(headers: dict[str, str] | None = None, **query: str) -> Reply:
        return await Browser(app).send("GET", f"/api/client/auth/okta-saml?{urlencode(query)}", headers=headers or {})

    check_refusal(await asked(), 400, "VALIDATION_ERROR")
    check_refusal(await asked(client=client), 404, "NOT_FOUND")
    one = await saml_provider(app, client)
    check_refusal(await asked(provider=one.name), 404, "NOT_FOUND")  # no client is named, and the name isn't pinned
    await pin(app, one.name, client)
    for found in (await asked(client=client), await asked(provider=one.name), await asked({"X-Client-ID": client})):
        assert request_of(found)[0].findtext(f"{{{ASSERTION}}}Issuer") == one.audience
    check_refusal(await asked(client="no-such", provider=one.name), 404, "NOT_FOUND")
    check_refusal(await asked(client="globex", provider=one.name), 404, "NOT_FOUND")
    check_refusal(await asked({"X-Client-ID": "globex"}, client=client), 400, "VALIDATION_ERROR")
    with provider(app.clock) as op:
        other = await add_oidc(app, op, client)
        check_refusal(await asked(client=client, provider=other["name"]), 404, "NOT_FOUND")
    assert (await asked(client=client)).status == 302  # still the only SAML provider
    await saml_provider(app, client)
    check_refusal(await asked(client=client), 400, "VALIDATION_ERROR")
    assert (await asked(client=client, provider=one.name)).status == 302


async def test_at_a_provider_that_is_turned_off_no_sign_in_begins(app: App) -> None:
    okta = await saml_provider(app)
    await okta.admin("POST", "/switch-off")
    error: dict[str, Any] = check_refusal(await start(okta), 401, "SSO_FAILED")
    assert "turned off" in error["message"]
    await okta.admin("POST", "/switch-on")
    assert (await start(okta)).status == 302
