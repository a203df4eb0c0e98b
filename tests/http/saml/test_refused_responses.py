"""Every invalid SAML response gets the same error, and only the log contains the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.envelope import same_but_request_id
from tests.support.faults import logging_to
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import ASSERTION, PROTOCOL, Idp, Signing, decode, encode, time_text
from tests.support.saml_signing import DS
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in, failures, saml_provider, sign_ins

pytestmark = pytest.mark.one_store

Make = Callable[[SamlProvider], str]
OTHER_ACS = "https://other.example/saml/acs"
REQUESTER = "urn:oasis:names:tc:SAML:2.0:status:Requester"
THIEF = "mallory@acme.example"


@pytest.fixture(scope="module")
async def okta(app: App) -> SamlProvider:
    """A provider that owns the victim's domain, so that an accepted forgery opens the victim's account."""
    client = await new_client(app)
    await new_user(app, client, "victim@acme.example", roles=["Admin"])
    return await saml_provider(app, client, domains=["acme.example"])


def at(okta: SamlProvider, seconds: float) -> str:
    return time_text(okta.app.clock.now_ms() + int(seconds * 1000))


def edited(okta: SamlProvider, edit: Callable[[etree._Element], object], **members: Any) -> str:
    """A valid response about another person, changed after it was signed."""
    return okta.response(THIEF, after=edit, **members)


def replaced(okta: SamlProvider, old: bytes, new: bytes) -> str:
    document = decode(okta.response(THIEF))
    assert old in document
    return encode(document.replace(old, new))


def by_another_key(okta: SamlProvider) -> str:
    return Idp(okta.idp.issuer, number=7).response(okta.audience, okta.acs, now_ms=okta.app.clock.now_ms())


def by_the_public_key_as_a_password(okta: SamlProvider) -> str:
    public = okta.idp.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return okta.response(signing=Signing(method="hmac-sha256", hmac_key=public))


#: Defects, how to create them, and part of the reason that an administrator reads.
WRONG: dict[str, tuple[Make, str]] = {
    "for another service": (lambda p: p.response(audience="https://other.example/saml"), "issuer and audience"),
    "for another service that begins like us": (lambda p: p.response(audience=p.audience + "-2"), "audience"),
    "for no audience": (lambda p: p.response(audience=[]), "audience"),
    "sent to another service": (lambda p: p.response(acs=OTHER_ACS), "Destination"),
    "confirmed for another service": (lambda p: p.response(recipient=OTHER_ACS), "Recipient"),
    "confirmed for no recipient": (lambda p: p.response(recipient=None), "Recipient"),
    "with another destination": (lambda p: p.response(destination=OTHER_ACS), "Destination"),
    "expired": (lambda p: p.response(not_on_or_after=at(p, -60)), "expired"),
    "confirmed until before": (lambda p: p.response(confirmed_until=at(p, -60)), "expired"),
    "confirmed for ever": (lambda p: p.response(confirmed_until=None), "not a time"),
    "not yet valid": (lambda p: p.response(not_before=at(p, 60.001)), "not valid before"),
    "from the future": (lambda p: p.response(issued=at(p, 60.001)), "future"),
    "with a session that is over": (lambda p: p.response(session_until=at(p, -60)), "session"),
    "without a sign-in": (lambda p: p.response(before=without("AuthnStatement")), "no AuthnStatement"),
    "by another key": (by_another_key, "no pinned certificate"),
    "by the public key as a password": (by_the_public_key_as_a_password, "not allowed"),
    "with SHA-1": (lambda p: p.response(signing=Signing(method="rsa-sha1")), "not allowed"),
    "unsigned": (lambda p: p.response(sign="none"), "nothing is signed"),
    "with its signature cut out": (lambda p: edited(p, unsigned), "nothing is signed"),
    "with another name": (lambda p: replaced(p, THIEF.encode(), b"victim@acme.example"), "no pinned certificate"),
    "with a comment in the name": (lambda p: replaced(p, b"mallory@", b"mallory<!---->@"), "comment"),
    "with a DOCTYPE": (lambda p: replaced(p, b"<saml2p:R", b"<!DOCTYPE x [<!ENTITY a 'b'>]><saml2p:R"), "DOCTYPE"),
    "a failure at the provider": (lambda p: p.response(status=REQUESTER), "the provider returned"),
    "by holder of key": (lambda p: p.response(method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"), "Method"),
    "of SAML 1.1": (lambda p: p.response(version="1.1"), "Version"),
    "by an unknown issuer": (lambda p: p.response(issuer="http://www.okta.com/unknown"), "issuer and audience"),
    "by no issuer": (lambda p: p.response(issuer=None), "issuer and audience"),
    "with another issuer around it": (lambda p: edited(p, other_issuer), "issuer and audience"),
    "no XML": (lambda p: encode(b"name=alice"), "not well-formed"),
    "nothing in base64": (lambda p: encode(b"\n"), "not well-formed"),
    "other XML": (lambda p: encode(b"<html/>"), "not a SAML"),
    "compressed": (lambda p: encode(b"\x78\x9c\x03\x00\x00\x00\x00\x01"), "not UTF-8"),
}  # fmt: skip


def the(tree: etree._Element, name: str) -> etree._Element:
    found = tree.find(f".//{{{ASSERTION}}}{name}")
    assert found is not None
    return found


def without(name: str) -> Callable[[etree._Element], object]:
    return lambda tree: the(tree, "Assertion").remove(the(tree, name))


def unsigned(tree: etree._Element) -> None:
    for signature in tree.findall(f".//{{{DS}}}Signature"):
        parent = signature.getparent()
        assert parent is not None
        parent.remove(signature)


def other_issuer(tree: etree._Element) -> None:
    tree[0].text = "http://www.okta.com/unknown"


def forged(tree: etree._Element, identifier: str = "_forged") -> etree._Element:
    """A second assertion, unsigned and about the victim."""
    copy: etree._Element = etree.fromstring(etree.tostring(the(tree, "Assertion")))
    unsigned(copy)
    copy.set("ID", identifier)
    the(copy, "NameID").text = "victim@acme.example"
    return copy


def before_it(tree: etree._Element) -> None:
    the(tree, "Assertion").addprevious(forged(tree))


def behind_it(tree: etree._Element) -> None:
    tree.append(forged(tree))


def with_its_id(tree: etree._Element) -> None:
    before = the(tree, "Assertion")
    before.addprevious(forged(tree, before.get("ID", "")))


def in_extensions(tree: etree._Element) -> None:
    genuine, extensions = the(tree, "Assertion"), etree.Element(f"{{{PROTOCOL}}}Extensions")
    genuine.addprevious(forged(tree))
    tree.insert(1, extensions)
    extensions.append(genuine)


def in_advice(tree: etree._Element) -> None:
    genuine, evil = the(tree, "Assertion"), forged(tree)
    tree.replace(genuine, evil)
    etree.SubElement(evil, f"{{{ASSERTION}}}Advice").append(genuine)


def in_the_signature(tree: etree._Element) -> None:
    genuine, evil = the(tree, "Assertion"), forged(tree)
    signature = genuine.find(f"{{{DS}}}Signature")
    assert signature is not None
    tree.replace(genuine, evil)
    evil.insert(1, signature)
    etree.SubElement(signature, f"{{{DS}}}Object").append(genuine)


def a_response_around_it(tree: etree._Element) -> None:
    """For a signed Response: the valid one is put into the signature of a forged one that contains it."""
    genuine = etree.fromstring(etree.tostring(tree))
    signature = tree.find(f"{{{DS}}}Signature")
    assert signature is not None
    inner = genuine.find(f"{{{DS}}}Signature")
    assert inner is not None
    genuine.remove(inner)
    tree.replace(the(tree, "Assertion"), forged(tree))
    tree.set("ID", "_outer")
    etree.SubElement(signature, f"{{{DS}}}Object").append(genuine)


WRAPPED = [before_it, behind_it, with_its_id, in_extensions, in_advice, in_the_signature]


def wrapping(edit: Callable[[etree._Element], object]) -> Make:
    return lambda okta: edited(okta, edit)


WRONG |= {f"wrapped: genuine and forged, {edit.__name__}": (wrapping(edit), "") for edit in WRAPPED}
WRONG |= {
    "wrapped: a signed response in another": (lambda p: edited(p, a_response_around_it, sign="response"), ""),
    "wrapped: a signed response with two": (lambda p: edited(p, behind_it, sign="response"), ""),
}


class Log:
    """Collects the reasons of rejections."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.lines: list[str] = []

    def info(self, event: str, **members: Any) -> None:
        self.lines.append(repr((event, members)))
        if event == "refused":
            self.reasons.append(members["reason"])

    warning = exception = info


@rule("SAML-ONE-ANSWER")
@matrix("name", WRONG)
async def test_it_is_rejected_like_everything_else_and_only_the_log_knows_why(okta: SamlProvider, name: str) -> None:
    make, part = WRONG[name]
    response, log = make(okta), Log()
    reference = await okta.call(okta.response(sign="none"))
    counted = sign_ins(okta.app, "saml", "failed")
    with logging_to(okta.app, log):
        by_json = await okta.call(response)
        by_form = await okta.post(Browser(okta.app), response)
    for reply in (by_json, by_form):
        check_no_one_got_in(reply)
        same_but_request_id(reply, reference)
    assert len(log.reasons) == 2
    assert part in log.reasons[0], log.reasons
    assert log.reasons[0] not in by_json.text
    assert sign_ins(okta.app, "saml", "failed") == counted + 2
    assert not any(response[:60] in line or response[-60:] in line for line in log.lines)


@rule("SAML-ONE-ANSWER")
async def test_where_the_provider_is_known_the_clients_audit_trail_says_why(okta: SamlProvider) -> None:
    for name in ("by another key", "sent to another service", "expired", "with another name"):
        make, part = WRONG[name]
        before = len(await failures(okta.app, okta.client))
        await okta.call(make(okta), headers={"X-Client-ID": okta.client})
        found = (await failures(okta.app, okta.client))[before:]
        assert [(one["method"], one["provider"]) for one in found] == [("saml", okta.made["id"])], name
        assert part in found[0]["why"]


@rule("SAML-CONDITIONS")
async def test_the_skew_of_a_minute_is_granted(okta: SamlProvider) -> None:
    late = okta.response(THIEF, not_on_or_after=at(okta, -59.999), confirmed_until=at(okta, -59.999))
    early = okta.response(THIEF, not_before=at(okta, 60), issued=at(okta, 60), authn_instant=at(okta, 60))
    for response in (late, early):
        assert (await okta.call(response)).status == 200


async def test_the_thief_is_signed_in_as_the_thief(okta: SamlProvider) -> None:
    """The original response is valid, so the forgery causes the errors above."""
    for sign in ("assertion", "response", "both"):
        assert (await okta.call(okta.response(THIEF, sign=sign))).data["user"]["email"] == THIEF
