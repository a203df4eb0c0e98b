"""SAML metadata: providers' files as their consoles write them, and our own."""

from __future__ import annotations

import pytest
from lxml import etree

from manifest_auth.protocols import saml
from tests.protocols.saml.verdicts import ACS, AUDIENCE, IDP, OUR_CERTIFICATE
from tests.support.matrix import matrix
from tests.support.saml_idp import Idp, encode

SSO = "https://acme.okta.com/app/manifest/exk1test/sso/saml"
METADATA = IDP.metadata(SSO, f"{SSO}/post")


def changed(old: str, new: str, count: int = 1) -> bytes:
    text = METADATA.decode()
    assert old in text, old
    return text.replace(old, new, count).encode()


def key_descriptor(idp: Idp, use: str = "") -> str:
    text = idp.metadata(SSO).decode()
    found = text[text.index("<md:KeyDescriptor") : text.index("</md:KeyDescriptor>")] + "</md:KeyDescriptor>"
    return found.replace(' use="signing"', use)


def test_what_a_provider_says_of_itself() -> None:
    assert saml.read_metadata(METADATA) == saml.Metadata(
        entity_id=IDP.issuer,
        redirect_address=SSO,
        post_address=f"{SSO}/post",
        certificates=(IDP.certificate_der,),
        wants_signed_requests=False,
    )
    assert saml.read_metadata(IDP.metadata(SSO, wants_signed=True)).wants_signed_requests
    assert saml.read_metadata(changed('RequestsSigned="false"', 'RequestsSigned="1"')).wants_signed_requests
    assert saml.read_metadata(IDP.metadata(SSO)).post_address is None


def test_comments_and_byte_order_mark_of_files() -> None:
    for content in (
        changed("<md:EntityDescriptor", "<!-- exported --><md:EntityDescriptor"),
        changed("<md:KeyDescriptor", "<!-- since 2026 --><md:KeyDescriptor"),
        b"\xef\xbb\xbf" + METADATA,
    ):
        assert saml.read_metadata(content).entity_id == IDP.issuer


def test_keys_for_signing_and_for_everything_but_not_for_encryption() -> None:
    second, third = Idp(number=1), Idp(key_kind="ec")
    more = key_descriptor(second) + key_descriptor(third, ' use="encryption"') + key_descriptor(second)
    content = changed("</md:KeyDescriptor>", f"</md:KeyDescriptor>{more}")
    assert saml.read_metadata(content).certificates == (IDP.certificate_der, second.certificate_der)


def test_of_a_chain_the_first_certificate() -> None:
    more = f"<ds:X509Certificate>{encode(Idp(number=1).certificate_der)}</ds:X509Certificate>"
    content = changed("</ds:X509Certificate>", f"</ds:X509Certificate>{more}")
    assert saml.read_metadata(content).certificates == (IDP.certificate_der,)


def test_the_one_provider_of_a_federation() -> None:
    body = METADATA.decode().split("?>")[1]
    other = '<md:EntityDescriptor entityID="https://sp.example"><md:SPSSODescriptor/></md:EntityDescriptor>'
    group = f'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{other}{body}'
    assert saml.read_metadata(f"{group}</md:EntitiesDescriptor>".encode()).entity_id == IDP.issuer
    with pytest.raises(saml.SamlRefused, match=r"describes 2 SAML 2[.]0 identity providers instead of one"):
        saml.read_metadata(f"{group}{body}</md:EntitiesDescriptor>".encode())


@matrix(
    ("content", "reason"),
    [
        (b"", "not well-formed"),
        (b"<html><body>Sign in</body></html>", "it is .html., not SAML 2.0 metadata"),
        (changed("IDPSSODescriptor", "SPSSODescriptor", 2), "describes 0 SAML 2.0 identity providers"),
        (changed("SAML:2.0:protocol", "SAML:1.1:protocol"), "describes 0 SAML 2.0 identity providers"),
        (changed(f'entityID="{IDP.issuer}"', ""), "entityID is missing"),
        (changed(IDP.issuer, "x" * 1025), "entityID is missing or too long"),
        (changed("SingleSignOnService", "Other", 2), "has no SingleSignOnService"),
        (changed('use="signing"', 'use="encryption"'), "no signing certificate"),
        (changed("X509Certificate>", "Other>", 2), "no signing certificate"),
        (changed("<ds:X509Certificate>", "<ds:X509Certificate>AAAA"), "isn't an X.509 certificate"),
        (
            changed("<ds:X509Certificate>MII", "<ds:X509Certificate>MII<!-- x -->"),
            "X509Certificate. contains more than text",
        ),
        (changed("<md:EntityDescriptor", "<!DOCTYPE a><md:EntityDescriptor"), "DOCTYPE"),
        (changed("<md:EntityDescriptor", "<?a b?><md:EntityDescriptor"), "processing instruction"),
        (changed("</md:EntityDescriptor>", "x" * 600_000 + "</md:EntityDescriptor>"), "larger than"),
        (IDP.metadata("javascript:alert(1)"), "isn't an https URL"),
        (IDP.metadata("http://idp.example/sso"), "isn't an https URL"),
        (IDP.metadata("data:text/html,x"), "isn't an https URL"),
        (IDP.metadata("/sso"), "isn't an https URL"),
        (IDP.metadata("https:///sso"), "isn't an https URL"),
        (IDP.metadata("https://idp.example/ sso"), "isn't an https URL"),
        (IDP.metadata("https://idp.example/sso#a"), "isn't an https URL"),
        (IDP.metadata("https://who@idp.example/sso"), "isn't an https URL"),
        (IDP.metadata("https://idp.example;script-src/sso"), "isn't an https URL"),
        (IDP.metadata("https://idp.example:port/sso"), "isn't an https URL"),
        (IDP.metadata("https://[idp/sso"), "isn't an https URL"),
        (IDP.metadata("https://idp.example/'sso"), "isn't an https URL"),
        (Idp(key_kind="rsa1024").metadata(SSO), "RSA key has 1024 bits"),
    ],
    ids=[f"case {number}" for number in range(27)],
)
def test_metadata_that_cannot_be_used_is_explained(content: bytes, reason: str) -> None:
    with pytest.raises(saml.SamlRefused, match=rf"^This metadata can't be used: .*{reason}.*\.$"):
        saml.read_metadata(content)


@matrix("address", ["http://localhost:8080/sso", "http://127.0.0.1:1/sso?a=b", "http://[::1]:9/sso"])
def test_plain_http_on_loopback(address: str) -> None:
    assert saml.read_metadata(IDP.metadata(address)).redirect_address == address


def test_our_metadata() -> None:
    """Parsed by path, as a provider does."""
    _, second = saml.make_key("acme", 0)
    root = etree.fromstring(saml.sp_metadata(AUDIENCE, ACS, [OUR_CERTIFICATE, second], signs_requests=True))
    assert root.get("entityID") == AUDIENCE
    descriptor = root[0]
    assert (descriptor.get("WantAssertionsSigned"), descriptor.get("AuthnRequestsSigned")) == ("true", "true")
    assert descriptor.get("protocolSupportEnumeration") == "urn:oasis:names:tc:SAML:2.0:protocol"
    for use in ("signing", "encryption"):
        found = descriptor.findall(f"{{*}}KeyDescriptor[@use='{use}']/{{*}}KeyInfo/{{*}}X509Data/{{*}}X509Certificate")
        assert [one.text for one in found] == [encode(OUR_CERTIFICATE), encode(second)]
    methods = {one.get("Algorithm") for one in descriptor.findall("{*}KeyDescriptor/{*}EncryptionMethod")}
    assert "http://www.w3.org/2009/xmlenc11#aes256-gcm" in methods
    assert not any("tripledes" in str(method) or "rsa-1_5" in str(method) for method in methods)
    service = descriptor.find("{*}AssertionConsumerService")
    assert service is not None
    assert (service.get("Binding"), service.get("Location")) == (
        "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        ACS,
    )


def test_our_metadata_without_keys_and_with_odd_names() -> None:
    root = etree.fromstring(saml.sp_metadata('https://a.example/?a="<&', ACS, [], signs_requests=False))
    assert root.get("entityID") == 'https://a.example/?a="<&'
    assert root[0].get("AuthnRequestsSigned") == "false"
    assert not root[0].findall("{*}KeyDescriptor")
