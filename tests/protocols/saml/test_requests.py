"""Our SAML authentication requests, parsed as a provider does."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from manifest_auth.protocols import saml
from tests.protocols.saml.verdicts import ACS, AUDIENCE, OUR_CERTIFICATE, OUR_KEY
from tests.support.matrix import matrix
from tests.support.saml_idp import ASSERTION, NOW_MS, PROTOCOL
from tests.support.saml_signing import DS, canonical

SSO = "https://acme.okta.com/app/manifest/exk1test/sso/saml"
REQUEST = saml.authn_request("_r1", NOW_MS, SSO, AUDIENCE, ACS)


class Fields(HTMLParser):
    """The form on a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.form: dict[str, str | None] = {}
        self.buttons = 0
        self.outside: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        members: dict[str, str | None] = dict(attrs)
        if tag == "input":
            self.fields[str(members["name"])] = str(members["value"])
        if tag == "form":
            self.form = members
        self.buttons += tag == "button"
        self.outside += [name for name in ("src", "href", "style", "onload") if name in members]


def public_key() -> rsa.RSAPublicKey:
    key = x509.load_der_x509_certificate(OUR_CERTIFICATE).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def test_the_request() -> None:
    root = etree.fromstring(REQUEST)
    assert root.tag == f"{{{PROTOCOL}}}AuthnRequest"
    assert {str(name): value for name, value in root.attrib.items()} == {
        "ID": "_r1",
        "Version": "2.0",
        "IssueInstant": "2027-01-15T08:00:00.000Z",
        "Destination": SSO,
        "AssertionConsumerServiceURL": ACS,
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
    }
    assert [child.tag for child in root] == [f"{{{ASSERTION}}}Issuer"]
    assert root[0].text == AUDIENCE


def test_a_request_to_prove_again() -> None:
    root = etree.fromstring(saml.authn_request("_r1", NOW_MS, SSO, 'a"<&b', ACS, force=True))
    assert root.get("ForceAuthn") == "true"
    assert root[0].text == 'a"<&b'


@matrix(("sso", "start"), [(SSO, f"{SSO}?SAMLRequest="), (f"{SSO}?a=b", f"{SSO}?a=b&SAMLRequest=")])
def test_the_redirect_carries_the_request_and_the_state(sso: str, start: str) -> None:
    address = saml.redirect_address(sso, REQUEST, "state /+&=é", None)
    assert address.startswith(start)
    members = parse_qs(urlsplit(address).query)
    assert zlib.decompress(base64.b64decode(members["SAMLRequest"][0]), -15) == REQUEST
    assert members["RelayState"] == ["state /+&=é"]
    assert "Signature" not in members
    assert "RelayState" not in saml.redirect_address(sso, REQUEST, "", None)


@matrix("state", ["state /+&=é", ""])
def test_the_redirect_is_signed_over_its_own_octets(state: str) -> None:
    """SAML bindings 3.4.4.1: the octets before ``&Signature=``, in this order."""
    query = urlsplit(saml.redirect_address(f"{SSO}?a=b", REQUEST, state, OUR_KEY)).query.removeprefix("a=b&")
    signed, _, signature = query.partition("&Signature=")
    names = [part.partition("=")[0] for part in signed.split("&")]
    assert names == (["SAMLRequest", "RelayState", "SigAlg"] if state else ["SAMLRequest", "SigAlg"])
    assert parse_qs(signed)["SigAlg"] == ["http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"]
    value = base64.b64decode(parse_qs(f"s={signature}")["s"][0])
    public_key().verify(value, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        public_key().verify(value, signed.encode() + b"x", padding.PKCS1v15(), hashes.SHA256())


def test_the_page_posts_by_itself_and_by_its_button_with_nothing_from_outside() -> None:
    state = "\"><script>alert(1)</script>&'"
    page, policy = saml.post_page(f"{SSO}?a=b&c=d", REQUEST, state, None, None)
    read = Fields(page)
    assert read.form == {"method": "post", "action": f"{SSO}?a=b&c=d"}
    assert base64.b64decode(read.fields["SAMLRequest"]) == REQUEST
    assert read.fields["RelayState"] == state
    assert read.buttons == 1
    assert read.outside == []
    scripts = re.findall(b"<script>(.*?)</script>", page)
    assert len(scripts) == 1
    directives = {part.split()[0]: part.split()[1] for part in policy.split(";")}
    assert directives == {
        "default-src": "'none'",
        "script-src": f"'sha256-{base64.b64encode(hashlib.sha256(scripts[0]).digest()).decode()}'",
        "form-action": "https:",  # must allow redirects to a sign-in page of another origin
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert "RelayState" not in Fields(saml.post_page(SSO, REQUEST, "", None, None)[0]).fields


@matrix("certificate", [OUR_CERTIFICATE, None])
def test_the_posted_request_is_signed_behind_its_issuer(certificate: bytes | None) -> None:
    page, _ = saml.post_page(SSO, REQUEST, "", OUR_KEY, certificate)
    root = etree.fromstring(base64.b64decode(Fields(page).fields["SAMLRequest"]))
    assert [child.tag for child in root][:2] == [f"{{{ASSERTION}}}Issuer", f"{{{DS}}}Signature"]
    signature = root[1]
    value = base64.b64decode(signature.findtext(f"{{{DS}}}SignatureValue", ""))
    public_key().verify(value, canonical(signature[0]), padding.PKCS1v15(), hashes.SHA256())
    reference = signature.find(f".//{{{DS}}}Reference")
    assert reference is not None
    assert reference.get("URI") == "#_r1"
    shown = [base64.b64decode(one.text or "") for one in signature.iter(f"{{{DS}}}X509Certificate")]
    assert shown == ([certificate] if certificate else [])
    root.remove(signature)
    digest = base64.b64encode(hashlib.sha256(canonical(root)).digest()).decode()
    assert signature.findtext(f".//{{{DS}}}DigestValue") == digest


@matrix("sso", ["javascript:alert(1)", "http://idp.example/sso", "https://idp.example\" x='", "//a"])
def test_addresses_that_no_browser_is_sent_to(sso: str) -> None:
    with pytest.raises(saml.SamlRefused, match="isn't an https URL"):
        saml.redirect_address(sso, REQUEST, "", None)
    with pytest.raises(saml.SamlRefused, match="isn't an https URL"):
        saml.post_page(sso, REQUEST, "", None, None)
