"""Our SAML metadata, as read by a provider's administrator or importer."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from lxml import etree

from tests.support.accounts import act_on, new_client
from tests.support.application import App, Reply
from tests.support.envelope import check_headers, check_refusal
from tests.support.saml_idp import PROTOCOL
from tests.support.saml_signing import DS
from tests.support.single_sign_on import entity_id, saml_provider

pytestmark = pytest.mark.one_store

METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
PATH = "/api/client/auth/okta-saml/metadata"


async def read(app: App, client: str, query: str = "", **options: Any) -> etree._Element:
    """The document, after checks that apply to all readers."""
    reply = await app.get(f"{PATH}?client={client}{query}", **options)
    assert reply.status == 200, reply.text
    assert reply.headers["content-type"] == "application/samlmetadata+xml; charset=utf-8"
    check_headers(reply)
    return parsed(reply)


def parsed(reply: Reply) -> etree._Element:
    root = etree.fromstring(reply.text.encode(), etree.XMLParser(resolve_entities=False))
    assert root.tag == f"{{{METADATA}}}EntityDescriptor"
    assert "<!" not in reply.text
    return root


def certificates(root: etree._Element, use: str) -> list[bytes]:
    found = root.findall(f".//{{{METADATA}}}KeyDescriptor[@use='{use}']//{{{DS}}}X509Certificate")
    return [base64.b64decode(one.text or "", validate=True) for one in found]


async def test_it_names_us_our_address_and_our_keys(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    root = await read(app, okta.client)
    assert root.get("entityID") == entity_id(okta.client) == okta.audience
    [descriptor] = list(root)
    assert descriptor.tag == f"{{{METADATA}}}SPSSODescriptor"
    assert descriptor.get("protocolSupportEnumeration") == PROTOCOL
    assert (descriptor.get("AuthnRequestsSigned"), descriptor.get("WantAssertionsSigned")) == ("false", "true")
    [service] = root.findall(f".//{{{METADATA}}}AssertionConsumerService")
    assert dict(service.items()) == {
        "Binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        "Location": okta.acs,
        "index": "0",
        "isDefault": "true",
    }
    assert certificates(root, "signing") == certificates(root, "encryption") == [okta.certificate]
    certificate = x509.load_der_x509_certificate(okta.certificate)
    assert certificate.public_key().key_size >= 2048  # type: ignore[union-attr]
    listed = {one.get("Algorithm", "").rpartition("#")[2] for one in root.iter(f"{{{METADATA}}}EncryptionMethod")}
    assert {"aes256-gcm", "aes256-cbc", "rsa-oaep-mgf1p"} <= listed
    assert not listed & {"tripledes-cbc", "rsa-1_5"}


async def test_the_children_stand_in_the_order_of_the_schema(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    [descriptor] = list(await read(app, okta.client))
    assert [etree.QName(child).localname for child in descriptor] == [
        "KeyDescriptor", "KeyDescriptor", "AssertionConsumerService",
    ]  # fmt: skip
    for one in descriptor.iter(f"{{{METADATA}}}KeyDescriptor"):
        names = [etree.QName(child).localname for child in one]
        assert names == ["KeyInfo"] + ["EncryptionMethod"] * (len(names) - 1)


async def test_it_is_where_the_providers_page_says(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    ours = okta.made["serviceProvider"]
    assert (ours["entityId"], ours["acsUrl"]) == (okta.audience, okta.acs)
    root = parsed(await app.get(ours["metadataUrl"].removeprefix(app.public_url)))
    assert root.get("entityID") == ours["entityId"]
    assert [base64.b64encode(one).decode() for one in certificates(root, "signing")] == ours["certificates"]


async def test_each_client_and_each_provider_has_its_own(app: App) -> None:
    client, other = await new_client(app), await new_client(app)
    one, two = await saml_provider(app, client), await saml_provider(app, client, saml={"signRequests": True})
    there = await saml_provider(app, other)
    whole = await read(app, client)
    assert set(certificates(whole, "signing")) == {one.certificate, two.certificate}
    for okta, signs in ((one, "false"), (two, "true"), (there, "false")):
        root = await read(app, okta.client, f"&provider={okta.name}")
        assert root.get("entityID") == okta.audience
        assert certificates(root, "encryption") == [okta.certificate]
        assert root[0].get("AuthnRequestsSigned") == signs


async def test_before_there_is_a_provider_names_and_addresses_are_there_to_type_in(app: App) -> None:
    client = await new_client(app)
    root = await read(app, client)
    assert root.get("entityID") == entity_id(client)
    assert len(root.findall(f".//{{{METADATA}}}AssertionConsumerService")) == 1
    assert certificates(root, "signing") == []


async def test_the_client_can_be_named_by_header_or_number_and_its_name_is_always_the_same(app: App) -> None:
    client = await new_client(app)
    number = (await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())).data["id"]
    for query, headers in (
        ("", {"X-Client-ID": client}),
        (f"?client={number}", {}),
        ("", {"X-Client-ID": str(number)}),
    ):
        assert parsed(await app.get(PATH + query, headers=headers)).get("entityID") == entity_id(client)


async def test_of_what_does_not_exist_there_is_none(app: App) -> None:
    client, suspended, other = await new_client(app), await new_client(app), await new_client(app)
    okta = await saml_provider(app, other)
    await act_on(app, f"{suspended}/suspend")
    for query in ("client=no-such", "client=1%20or%201=1", f"client={suspended}", "client=999999", "client=ACME",
                  f"client={client}&provider=no-such", f"client={client}&provider={okta.name}"):  # fmt: skip
        check_refusal(await app.get(f"{PATH}?{query}"), 404, "NOT_FOUND")
    for query in ("", "client=", f"client={client}&client={client}", "client=%00", "client=" + "x" * 64):
        check_refusal(await app.get(f"{PATH}?{query}"), 400, "VALIDATION_ERROR")
    check_refusal(await app.get(f"{PATH}?client={client}", headers={"X-Client-ID": "globex"}), 400, "VALIDATION_ERROR")
    check_refusal(await app.post(f"{PATH}?client={client}", {}), 405, "METHOD_NOT_ALLOWED")


async def test_nothing_in_the_query_gets_into_the_document(app: App) -> None:
    client = await new_client(app)
    injected = quote(f'{client}"><x/>')
    check_refusal(await app.get(f"{PATH}?client={injected}"), 404, "NOT_FOUND")
    assert "evil" not in (await app.get(f"{PATH}?client={client}&x=evil", headers={"Host": "evil.example"})).text


async def test_it_holds_no_secret(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    text = (await app.get(f"{PATH}?client={okta.client}")).text
    assert "PRIVATE" not in text
    assert okta.idp.issuer not in text


async def test_it_speaks_of_the_public_address_whatever_host_was_asked(secure: App) -> None:
    client = await new_client(secure)
    address = f"https://auth.example.com{PATH}?client={client}"
    for headers in ({"Host": "auth.example.com"}, {"Host": "10.0.0.7:8080"}, {"X-Forwarded-Host": "evil.example"}):
        root = await read(secure, client, headers=headers)
        assert root.get("entityID") == address
        [service] = root.findall(f".//{{{METADATA}}}AssertionConsumerService")
        assert service.get("Location") == "https://auth.example.com/api/client/auth/okta-saml"
    own = await secure.get(PATH, headers={"Host": f"{client}.auth.example.com"})
    assert parsed(own).get("entityID") == address
