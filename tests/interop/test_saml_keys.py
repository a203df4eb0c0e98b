"""SAML keys with real providers: key changes on both sides, signed requests, and encryption."""

from __future__ import annotations

import base64
from urllib.parse import unquote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from tests.interop.browser import Browser, Step
from tests.interop.failures import refused
from tests.interop.providers.djangosaml2idp import DjangoSaml2Idp
from tests.interop.providers.lemonldap import LemonLdap
from tests.interop.providers.people import ALICE
from tests.interop.providers.saml_idp import SamlIdp
from tests.interop.service import RETURN_TO, SAML, Client, Service, arrived, me
from tests.interop.sign_in_methods import SamlMethod, on_every_saml_provider, pem

pytestmark = pytest.mark.endurance


def test_the_key_of_another_provider_signs_no_one_in(
    node_idp: SamlIdp, own_idp: SamlIdp, client: Client, service: Service, browser: Browser
) -> None:
    """A provider with the same name as the client's, and all its knowledge except the key."""
    made = SamlMethod(node_idp).join(client)
    SamlMethod(own_idp).introduce(client, made)
    own_idp.set(issuer=node_idp.entity_id)
    step = own_idp.visit(browser, own_idp.idp_initiated(), ALICE, RETURN_TO)
    assert "signature" in service.reason(refused(step)).lower()


@on_every_saml_provider
def test_a_new_certificate_beside_the_old_one(
    method: SamlMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    """During a rollover, both are pinned for a while; a certificate that isn't pinned is rejected."""
    made = method.join(client)
    arrived(method.sign_in(client, browser, ALICE))
    old = method.provider.certificate.read_text()
    method.provider.rekey()
    method.introduce(client, made)
    assert "signature" in service.reason(refused(method.sign_in(client, another_browser, ALICE))).lower()
    client.change(saml={"certificates": [old, method.provider.certificate.read_text()]})
    arrived(method.sign_in(client, another_browser, ALICE))
    assert me(service, another_browser)["user"]["id"] == me(service, browser)["user"]["id"]


@on_every_saml_provider
def test_a_new_metadata_document_brings_the_new_certificate(
    method: SamlMethod, client: Client, service: Service, browser: Browser
) -> None:
    made = method.join(client)
    method.provider.rekey()
    method.introduce(client, made)
    client.change(saml={"metadata": method.provider.metadata()})
    arrived(method.sign_in(client, browser, ALICE))
    assert me(service, browser)["user"]["email"] == ALICE.email


def test_our_own_key_is_changed_while_the_provider_still_has_the_old_one(
    node_idp: SamlIdp, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    method = SamlMethod(node_idp, options={"encrypt": True})
    made = method.join(client)
    path = f"/clients/{client.identifier}/providers/company/rotate-key"
    rotated = service.administer("POST", path)
    arrived(method.sign_in(client, browser, ALICE))
    assert rotated["serviceProvider"]["certificates"][1] == made["serviceProvider"]["certificates"][0]
    method.introduce(client, rotated)
    arrived(method.sign_in(client, another_browser, ALICE))


def test_a_redirect_with_a_signed_request(node_idp: SamlIdp, client: Client, browser: Browser) -> None:
    """The signature covers the exact octets of the query, and verifies with the certificate in our metadata."""
    SamlMethod(node_idp, {"signRequests": True}).join(client)
    query = browser.onward_from(client.start(SAML)).url.partition("?")[2]
    signed, _, _ = query.partition("&Signature=")
    members = dict(member.split("=", 1) for member in query.split("&"))
    assert [member.split("=")[0] for member in signed.split("&")] == ["SAMLRequest", "RelayState", "SigAlg"]
    metadata = etree.fromstring(client.metadata().encode())
    [certificate, *_] = metadata.iter("{http://www.w3.org/2000/09/xmldsig#}X509Certificate")
    key = x509.load_pem_x509_certificate(pem(str(certificate.text)).encode()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(unquote_plus(members["Signature"]))
    key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_a_provider_that_wants_signed_requests_gets_no_others(
    binding: str, lemonldap_server: LemonLdap, client: Client, service: Service, browser: Browser
) -> None:
    """Its metadata require signed requests, and it verifies them with our metadata."""
    method = SamlMethod(lemonldap_server, {"binding": binding})
    assert method.join(client)["saml"]["signRequests"] is True
    rotated = service.administer("POST", f"/clients/{client.identifier}/providers/company/rotate-key")
    assert not isinstance(method.sign_in(client, browser, ALICE), Step), "it does not know this key yet"
    method.introduce(client, rotated)
    client.change(saml={"signRequests": False})
    assert not isinstance(method.sign_in(client, browser, ALICE), Step), "and wants a signature"
    client.change(saml={"signRequests": True})
    arrived(method.sign_in(client, browser, ALICE))


def test_another_provider_that_wants_signed_requests_gets_no_others(
    strict_django_idp: DjangoSaml2Idp, client: Client, browser: Browser
) -> None:
    """Only by POST, because the package ignores signatures of redirects."""
    method = SamlMethod(strict_django_idp, {"binding": "post"})
    assert method.join(client)["saml"]["signRequests"] is True
    client.change(saml={"signRequests": False})
    assert not isinstance(method.sign_in(client, browser, ALICE), Step)
    client.change(saml={"signRequests": True})
    arrived(method.sign_in(client, browser, ALICE))


def test_an_assertion_that_is_encrypted_for_another_client(
    node_idp: SamlIdp, service: Service, client: Client, browser: Browser
) -> None:
    """Only the key's owner can read it."""
    method = SamlMethod(node_idp, options={"encrypt": True})
    other = method.join(service.client())["serviceProvider"]
    made = method.join(client)
    mixed_up = {**made["serviceProvider"], "certificates": other["certificates"]}
    method.introduce(client, {"serviceProvider": mixed_up})
    error = refused(method.sign_in(client, browser, ALICE))
    assert "keys can't decrypt the assertion" in service.reason(error)
    assert "session" not in browser.jar.of(service.public)
    method.introduce(client, made)
    arrived(method.sign_in(client, browser, ALICE))
