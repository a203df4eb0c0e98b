"""SAML assertions are encrypted for the certificate in our metadata, even while our key is being replaced."""

from __future__ import annotations

import base64

import pytest
from lxml import etree

from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, same_but_request_id
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_encrypting import Encryption
from tests.support.saml_idp import Idp
from tests.support.saml_signing import DS
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store


async def published(okta: SamlProvider) -> list[bytes]:
    """The encryption certificates in the metadata for the provider, newest first."""
    address = f"/api/client/auth/okta-saml/metadata?client={okta.client}&provider={okta.name}"
    root = etree.fromstring((await okta.app.get(address)).text.encode())
    found = root.findall(f".//{{*}}KeyDescriptor[@use='encryption']//{{{DS}}}X509Certificate")
    return [base64.b64decode(one.text or "") for one in found]


FORMS = {
    "as Okta sends it": Encryption(place="retrieval"),
    "GCM, key inside": Encryption(cipher="aes256-gcm"),
    "SHA-256, key beside": Encryption(cipher="aes128-cbc", transport="rsa-oaep", digest="sha256", place="sibling"),
    "without its ancestors' prefixes": Encryption(cipher="aes128-gcm", bare=True),
}


@matrix("sign", ["assertion", "response", "both"])
@matrix("form", FORMS)
async def test_what_is_encrypted_for_the_certificate_in_our_metadata_is_read(
    okta: SamlProvider, form: str, sign: str
) -> None:
    [certificate] = await published(okta)
    style = "pysaml2" if FORMS[form].bare else "okta"
    response = okta.response(
        "sealed@acme.example", sign=sign, style=style, encrypt_for=certificate, encryption=FORMS[form]
    )
    assert b"sealed@" not in base64.b64decode(response)
    assert (await okta.call(response)).data["user"]["email"] == "sealed@acme.example"


async def test_a_browser_that_asked_can_sign_in_by_an_encrypted_answer(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    assert (await okta.sign_in(browser, "sealed@acme.example", encrypt_for=okta.certificate)).status == 303
    assert (await browser.me()).data["user"]["email"] == "sealed@acme.example"


async def test_what_is_encrypted_is_not_yet_trusted(app: App, okta: SamlProvider) -> None:
    other_provider, foreign = Idp(okta.idp.issuer, number=5), await saml_provider(app, await new_client(app))
    now = app.clock.now_ms()
    wrong = {
        "unsigned": okta.response(sign="none", encrypt_for=okta.certificate),
        "by another key": other_provider.response(
            okta.audience, f"{okta.acs}?client={okta.client}", encrypt_for=okta.certificate, now_ms=now
        ),
        "for another service": okta.response(audience="https://other.example/", encrypt_for=okta.certificate),
        "expired": okta.response(now_ms=now - 10**7, encrypt_for=okta.certificate),
        "for another's key": okta.response(encrypt_for=foreign.certificate),
        "for the provider's own key": okta.response(encrypt_for=okta.idp.certificate_der),
        "by PKCS #1 v1.5": okta.response(encrypt_for=okta.certificate, encryption=Encryption(transport="rsa-1_5")),
        "no assertion in it": okta.response(encrypt_for=okta.certificate, encryption=Encryption(clear=b"<x/>")),
        "no XML in it": okta.response(encrypt_for=okta.certificate, encryption=Encryption(clear=b"\x00\xff" * 99)),
    }
    reference = await okta.call(okta.response(sign="none"))
    for name, response in wrong.items():
        for query in ("", f"?client={okta.client}"):
            reply = await okta.call(response, query=query)
            assert reply.status == 401, name
            same_but_request_id(reply, reference)


@rule("SAML-CLIENT")
async def test_one_that_no_one_asked_for_must_name_its_client(app: App, okta: SamlProvider) -> None:
    """A client's keys aren't tried on what might be another client's response."""
    namesake = await saml_provider(app, await new_client(app), Idp(okta.idp.issuer))
    for acs in (okta.acs, f"{okta.acs}?client=", f"{okta.acs}?client=no-such-client", "https://evil.example/acs"):
        response = okta.response(encrypt_for=okta.certificate, acs=acs)
        reply = await okta.call(response)
        if "client=" in acs:
            check_no_one_got_in(reply)
        else:
            error = check_refusal(reply, 400, "VALIDATION_ERROR")
            assert error["details"][0]["field"] == "client"
    for named in ({"query": f"?client={okta.client}"}, {"headers": {"X-Client-ID": okta.client}}):
        assert (await okta.call(okta.response(encrypt_for=okta.certificate, acs=okta.acs), **named)).status == 200
        assert (await okta.call(okta.response(encrypt_for=okta.certificate), **named)).status == 200
        foreign = okta.response(encrypt_for=okta.certificate, acs=f"{okta.acs}?client={namesake.client}")
        check_no_one_got_in(await okta.call(foreign, **named))
    browser = Browser(app)
    form = await okta.post(browser, okta.response(encrypt_for=okta.certificate))
    assert form.status == 303, form.text
    unnamed = await okta.post(browser, okta.response(encrypt_for=okta.certificate, acs=okta.acs))
    check_refusal(unnamed, 400, "VALIDATION_ERROR")


async def test_an_answer_to_our_request_comes_to_the_address_that_it_named(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, relay_state = await okta.start(browser)
    elsewhere = okta.response(in_response_to=request_id, acs=f"{okta.acs}?client={okta.client}")
    check_no_one_got_in(await okta.post(browser, elsewhere, relay_state))


async def test_of_a_changed_cipher_text_nothing_is_told(okta: SamlProvider) -> None:
    """An oracle would distinguish invalid padding from invalid XML (Jager and Somorovsky, 2011)."""
    whole = base64.b64decode(okta.response(encrypt_for=okta.certificate, encryption=Encryption(cipher="aes256-cbc")))
    start = whole.rindex(b"CipherValue>", 0, whole.rindex(b"CipherValue>")) + len(b"CipherValue>")
    end = whole.index(b"<", start)
    cipher = base64.b64decode(whole[start:end])
    reference = await okta.call(okta.response(sign="none"))
    # A last block of only padding can still decrypt to a valid one with the same assertion, so it isn't changed.
    for position in (0, 15, 16, 40, len(cipher) - 33, len(cipher) - 17):
        changed = bytearray(cipher)
        changed[position] ^= 0x55
        forged = whole[:start] + base64.b64encode(bytes(changed)) + whole[end:]
        same_but_request_id(await okta.call(base64.b64encode(forged).decode()), reference)
    shorter = whole[:start] + base64.b64encode(cipher[:-16]) + whole[end:]
    same_but_request_id(await okta.call(base64.b64encode(shorter).decode()), reference)


async def test_the_old_key_reads_on_after_one_rotation_and_not_after_two(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    first = okta.certificate

    async def reads(certificate: bytes) -> bool:
        replies = [
            await okta.call(okta.response(encrypt_for=certificate, encryption=FORMS["as Okta sends it"]), query=query)
            for query in ("", f"?client={okta.client}")
        ]
        assert len({reply.status for reply in replies}) == 1
        return replies[0].status == 200

    assert await published(okta) == [first]
    assert await reads(first)
    assert (await okta.admin("POST", "/rotate-key")).status == 200
    second = okta.certificate
    assert second != first
    assert await published(okta) == [second, first]
    assert await reads(second)
    assert await reads(first)
    assert (await okta.admin("POST", "/rotate-key")).status == 200
    third = okta.certificate
    assert await published(okta) == [third, second]
    assert await reads(third)
    assert await reads(second)
    assert not await reads(first)


async def test_a_rotation_signs_no_one_out_and_is_in_the_audit_trail_without_the_key(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    token = (await okta.call(okta.response())).data["token"]
    rotated = await okta.admin("POST", "/rotate-key")
    events = await trail(app, okta.client)
    assert any(event.event == "provider_changed" and event.members == {"key": "rotated"} for event in events)
    assert "PRIVATE" not in rotated.text + "".join(event.detail for event in events)
    assert (await app.me(token)).status == 200


async def test_each_provider_of_a_client_has_a_key_of_its_own(app: App) -> None:
    client = await new_client(app)
    one, two = await saml_provider(app, client), await saml_provider(app, client)
    assert (await published(one), await published(two)) == ([one.certificate], [two.certificate])
    assert one.certificate != two.certificate
    check_no_one_got_in(await one.call(one.response(encrypt_for=two.certificate)))
    assert (await one.call(one.response(encrypt_for=one.certificate))).status == 200
