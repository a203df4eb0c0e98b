"""Each real provider on its own: it runs, describes itself, and lets only the right person sign in.

If one of these tests fails, those of our server with that provider mean nothing yet.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree

from tests.interop import http_client
from tests.interop.browser import Browser, Shown, Step
from tests.interop.providers import glewlwyd, lemonldap, oidc_provider
from tests.interop.providers.certificates import body
from tests.interop.providers.djangosaml2idp import DjangoSaml2Idp
from tests.interop.providers.glewlwyd import Glewlwyd
from tests.interop.providers.lemonldap import LemonLdap
from tests.interop.providers.oidc_provider import OidcProvider
from tests.interop.providers.people import ALICE
from tests.interop.providers.provider import RealOidcProvider, RealSamlProvider
from tests.interop.providers.saml_idp import SamlIdp

ENTITY, ACS = "urn:example:service-provider", "http://127.0.0.1:9/acs"
METADATA = f"""
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY}">
  <SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <AssertionConsumerService index="0" Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{ACS}"/>
  </SPSSODescriptor>
</EntityDescriptor>"""
NAMES = {"p": "urn:oasis:names:tc:SAML:2.0:protocol", "a": "urn:oasis:names:tc:SAML:2.0:assertion"}
CHALLENGE = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser without our server, which needn't run."""
    with Browser() as fresh:
        yield fresh


def discovered(provider: RealOidcProvider) -> dict[str, Any]:
    address = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
    document: dict[str, Any] = http_client.send("GET", address).json()
    return document


def asked(provider: RealOidcProvider, client: str, callback: str) -> Step:
    query = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": callback,
        "scope": "openid email",
        "state": "the-state",
        "nonce": "the-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return Step("GET", f"{discovered(provider)['authorization_endpoint']}?{urlencode(query)}")


def came_back(provider: RealOidcProvider, client: str, callback: str, browser: Browser) -> dict[str, str]:
    assert discovered(provider)["issuer"] == provider.issuer
    step = provider.visit(browser, asked(provider, client, callback), ALICE, callback)
    assert isinstance(step, Step), browser.trail
    return step.query


def test_oidc_provider_signs_a_person_in(node_provider: OidcProvider, callbacks: list[str], browser: Browser) -> None:
    back = came_back(node_provider, "ES256", callbacks[0], browser)
    assert back["code"]
    assert back["state"] == "the-state"
    assert back["iss"] == node_provider.issuer
    assert set(oidc_provider.ALGORITHMS) <= set(discovered(node_provider)["id_token_signing_alg_values_supported"])


def test_oidc_provider_says_that_a_person_rejected(
    node_provider: OidcProvider, callbacks: list[str], browser: Browser
) -> None:
    page = browser.walk(asked(node_provider, "RS256", callbacks[0]))
    assert isinstance(page, Shown)
    step = browser.walk(node_provider.deny(page), callbacks[0])
    assert isinstance(step, Step)
    assert step.query["error"] == "access_denied"


def test_oidc_provider_has_other_keys_after_a_restart(node_provider: OidcProvider) -> None:
    before = http_client.send("GET", discovered(node_provider)["jwks_uri"]).json()["keys"]
    node_provider.stop()
    node_provider.start()
    after = http_client.send("GET", discovered(node_provider)["jwks_uri"]).json()["keys"]
    assert not {key["kid"] for key in before} & {key["kid"] for key in after}


def test_glewlwyd_signs_a_person_in(glewlwyd_server: Glewlwyd, callbacks: list[str], browser: Browser) -> None:
    back = came_back(glewlwyd_server, glewlwyd.CLIENT, callbacks[0], browser)
    assert back["code"]
    assert back["state"] == "the-state"
    assert back["iss"] == glewlwyd_server.issuer


def asserted(step: Shown | Step) -> etree._Element:
    """The response that a provider's page posts to us."""
    assert isinstance(step, Step)
    assert (step.method, step.url) == ("POST", ACS)
    return etree.fromstring(base64.b64decode(step.fields["SAMLResponse"]))


def texts(response: etree._Element, path: str) -> list[str]:
    found: Any = response.xpath(f"{path}/text()", namespaces=NAMES)
    return [str(text) for text in found]


def described(provider: RealSamlProvider, certificate: str) -> None:
    document = provider.metadata()
    assert body(certificate) in document
    assert 'Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"' in document


def test_saml_idp_posts_a_signed_response(node_idp: SamlIdp, browser: Browser) -> None:
    described(node_idp, node_idp.certificate.read_text())
    node_idp.serve(ENTITY, ACS)
    response = asserted(node_idp.visit(browser, node_idp.idp_initiated(), ALICE, ACS))
    assert texts(response, "//a:Audience") == [ENTITY]
    assert texts(response, "//a:Attribute[@Name='groups']/a:AttributeValue") == list(ALICE.groups)
    assert len(response.findall(".//{http://www.w3.org/2000/09/xmldsig#}Signature")) == 2


def test_lemonldap_is_both(lemonldap_server: LemonLdap, callbacks: list[str], browser: Browser) -> None:
    back = came_back(lemonldap_server, lemonldap.CLIENT, callbacks[0], browser)
    assert back["code"]
    assert back["state"] == "the-state"
    assert {"none", "HS256", "PS512"} <= set(discovered(lemonldap_server)["id_token_signing_alg_values_supported"])
    lemonldap_server.serve(METADATA)
    response = asserted(lemonldap_server.visit(browser, lemonldap_server.idp_initiated(), ALICE, ACS))
    assert texts(response, "//a:Audience") == [ENTITY]
    assert texts(response, "//a:Attribute[@Name='groups']/a:AttributeValue") == list(ALICE.groups)


def test_djangosaml2idp_posts_a_signed_response(django_idp: DjangoSaml2Idp, browser: Browser) -> None:
    described(django_idp, django_idp.certificate.read_text())
    django_idp.serve(ENTITY, METADATA, sign_response=False, algorithm="sha512")
    response = asserted(django_idp.visit(browser, django_idp.idp_initiated(ENTITY), ALICE, ACS))
    assert texts(response, "//a:Audience") == [ENTITY]
    assert texts(response, "//a:Attribute[@Name='groups']/a:AttributeValue") == list(ALICE.groups)
    [method] = response.iterfind(".//{http://www.w3.org/2000/09/xmldsig#}SignatureMethod")
    assert method.get("Algorithm") == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"


def test_djangosaml2idp_signs_no_one_in_with_a_wrong_password(django_idp: DjangoSaml2Idp, browser: Browser) -> None:
    django_idp.serve(ENTITY, METADATA)
    page = browser.walk(django_idp.idp_initiated(ENTITY))
    assert isinstance(page, Shown)
    [form] = page.page.forms
    shown = browser.walk(page.send(form, username=ALICE.login, password="not this"), ACS)
    assert isinstance(shown, Shown), "the provider let a person in"
