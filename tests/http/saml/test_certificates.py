"""SAML provider certificates are pinned, can be replaced without downtime, and expire depending on policy."""

from __future__ import annotations

import base64

import pytest

from tests.support.accounts import new_client
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, same_but_request_id
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import Idp, Signing
from tests.support.single_sign_on import SamlProvider, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store

DAY_MS = 86_400_000
ISSUER = "http://www.okta.com/exkroll"


async def by(okta: SamlProvider, idp: Idp) -> Reply:
    """A response signed with this provider's key."""
    return await okta.call(idp.response(okta.audience, okta.acs, now_ms=okta.app.clock.now_ms()))


async def change(okta: SamlProvider, **saml: object) -> Reply:
    return await okta.admin("PATCH", body={"saml": saml})


async def test_while_two_are_pinned_both_count_and_the_removed_one_does_not(app: App) -> None:
    old, new = Idp(ISSUER, number=0), Idp(ISSUER, number=1)
    okta = await saml_provider(app, await new_client(app), old)
    check_no_one_got_in(await by(okta, new))
    assert (await change(okta, certificates=[old.certificate_pem, new.certificate_pem])).status == 200
    for idp in (old, new, old):
        assert (await by(okta, idp)).status == 200
    assert (await change(okta, certificates=[new.certificate_pem])).status == 200
    refused = await by(okta, old)
    check_no_one_got_in(refused)
    same_but_request_id(refused, await okta.call(okta.response(sign="none")))
    assert (await by(okta, new)).status == 200


async def test_keys_of_two_kinds_roll_over_too(app: App) -> None:
    old, new = Idp(ISSUER), Idp(ISSUER, key_kind="ec")
    okta = await saml_provider(app, await new_client(app), old)
    await change(okta, certificates=[new.certificate_pem, old.certificate_pem])
    for idp in (old, new):
        assert (await by(okta, idp)).status == 200


def with_both(idp: Idp, other: Idp) -> str:
    """Metadata of a provider that announces its next certificate."""
    text = idp.metadata("https://idp.example/sso").decode()
    start = text.index("<md:KeyDescriptor")
    end = text.index("</md:KeyDescriptor>") + len("</md:KeyDescriptor>")
    second = text[start:end].replace(
        base64.b64encode(idp.certificate_der).decode(), base64.b64encode(other.certificate_der).decode()
    )
    return text[:end] + second + text[end:]


async def test_importing_the_metadata_again_follows_the_provider(app: App) -> None:
    old, new = Idp(ISSUER, number=0), Idp(ISSUER, number=1)
    okta = await saml_provider(app, await new_client(app), old)
    assert (await change(okta, metadata=with_both(old, new))).status == 200
    assert len(okta.made["signingCertificates"]) == 2
    for idp in (old, new):
        assert (await by(okta, idp)).status == 200
    assert (await change(okta, metadata=new.metadata("https://idp.example/sso").decode())).status == 200
    check_no_one_got_in(await by(okta, old))
    assert (await by(okta, new)).status == 200


async def test_metadata_switches_no_check_off_and_is_of_no_other_provider(app: App) -> None:
    idp = Idp(ISSUER, number=0)
    strict = {"signRequests": True, "allowIdpInitiated": False, "expiredCertificates": "refuse"}
    okta = await saml_provider(app, await new_client(app), idp, saml=strict)
    document = idp.metadata("https://idp.example/new", wants_signed=False).decode()
    assert (await change(okta, metadata=document)).status == 200
    assert {name: okta.made["saml"][name] for name in strict} == strict
    assert okta.made["saml"]["redirectUrl"] == "https://idp.example/new"
    other_provider = Idp("http://www.okta.com/exkother", number=1).metadata("https://evil.example/sso").decode()
    check_refusal(await change(okta, metadata=other_provider), 400, "VALIDATION_ERROR")
    assert okta.made["saml"]["redirectUrl"] == "https://idp.example/new"


async def test_metadata_can_ask_for_signed_requests(app: App) -> None:
    idp = Idp(ISSUER)
    okta = await saml_provider(app, await new_client(app), idp)
    for wants in (False, True, False):  # and doesn't revert it
        before = okta.made["saml"]["signRequests"]
        await change(okta, metadata=idp.metadata("https://idp.example/sso", wants_signed=wants).decode())
        assert okta.made["saml"]["signRequests"] is (before or wants)


@rule("SAML-EXPIRED-CERTIFICATE")
@matrix(("after_s", "status"), [(-1, 200), (1, 401), (400 * 86400, 401)])
async def test_an_expired_certificate_is_rejected_by_default(app: App, after_s: int, status: int) -> None:
    end = app.clock.now_ms() // 1000 * 1000 - after_s * 1000
    idp = Idp(ISSUER, not_before_ms=end - 500 * DAY_MS, not_after_ms=end)
    okta = await saml_provider(app, await new_client(app), idp)
    reply = await by(okta, idp)
    assert reply.status == status, reply.text
    if status == 401:
        same_but_request_id(reply, await okta.call(okta.response(sign="none")))


@rule("SAML-EXPIRED-CERTIFICATE")
async def test_by_written_policy_an_expired_certificate_counts(app: App) -> None:
    now = app.clock.now_ms()
    idp = Idp(ISSUER, not_before_ms=now - 500 * DAY_MS, not_after_ms=now - 400 * DAY_MS)
    okta = await saml_provider(app, await new_client(app), idp, saml={"expiredCertificates": "accept"})
    assert (await by(okta, idp)).status == 200
    check_no_one_got_in(await by(okta, Idp(ISSUER, number=3)))
    await change(okta, expiredCertificates="refuse")
    check_no_one_got_in(await by(okta, idp))
    assert (await change(okta, expiredCertificates="ignore")).status == 400


async def test_a_good_certificate_counts_beside_an_expired_one(app: App) -> None:
    now = app.clock.now_ms()
    old = Idp(ISSUER, number=0, not_before_ms=now - 500 * DAY_MS, not_after_ms=now - 1000)
    new = Idp(ISSUER, number=1)
    okta = await saml_provider(app, await new_client(app), old)
    await change(okta, certificates=[old.certificate_pem, new.certificate_pem])
    assert (await by(okta, new)).status == 200
    check_no_one_got_in(await by(okta, old))


async def test_the_same_key_in_a_new_certificate_goes_on(app: App) -> None:
    """Only the key is pinned; the certificate in the signature isn't used."""
    old, new = Idp(ISSUER), Idp(ISSUER)
    assert old.certificate_der != new.certificate_der
    okta = await saml_provider(app, await new_client(app), old)
    assert (await by(okta, new)).status == 200


@rule("SAML-REFERENCE")
async def test_a_certificate_that_comes_along_verifies_nothing(app: App) -> None:
    idp, thief = Idp(ISSUER, number=0), Idp(ISSUER, number=1)
    okta = await saml_provider(app, await new_client(app), idp)
    thief.certificate_der = idp.certificate_der  # signs with its own key and presents ours
    check_no_one_got_in(await by(okta, thief))
    for key_info in ("none", "certificate"):
        signing = Signing(key_info=key_info)
        assert (await okta.call(okta.response(signing=signing))).status == 200


async def test_weak_keys_and_other_files_cannot_be_pinned(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    pem = okta.idp.certificate_pem
    for wrong in (
        Idp(ISSUER, key_kind="rsa1024").certificate_pem,
        pem + pem,
        pem[:-60],
        "",
        "MIIB",
        "https://x.example/c",
    ):
        error = check_refusal(await change(okta, certificates=[wrong]), 400, "VALIDATION_ERROR")
        assert error["details"][0]["field"] == "saml.certificates[0]"
    check_refusal(await change(okta, certificates=[]), 400, "VALIDATION_ERROR")
    assert (await okta.call(okta.response())).status == 200
