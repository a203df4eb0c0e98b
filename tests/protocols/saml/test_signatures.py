"""SAML signatures that are invalid, no matter who created them."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from manifest_auth.protocols import saml
from manifest_auth.protocols.saml import shape
from manifest_auth.protocols.saml.shape import verified
from tests.protocols.saml.test_wrapping import A, Element, S, part
from tests.protocols.saml.verdicts import IDP, POLICY, pinned, refuse, replaced, response, verdict
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import NOW_MS, Idp, Signing, decode, encode
from tests.support.saml_signing import DS, ENVELOPED, EXCLUSIVE, canonical, sign_element, signature_value

INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"


@rule("ASSERTION-ONCE")
def test_nothing_is_signed() -> None:
    refuse(response(sign="none"), "^nothing is signed$")


@rule("SAML-REFERENCE")
@matrix("sign", ["assertion", "response", "both"])
def test_another_key(sign: str) -> None:
    """Even if its certificate is included in KeyInfo."""
    refuse(response(Idp(number=1), sign=sign), "no pinned certificate signed it: InvalidSignature")
    refuse(response(Idp(key_kind="ec"), sign=sign), "none has a key of kind ec")
    refuse(response(sign=sign), "no pinned certificate", POLICY._replace(certificates=()))


@rule("SAML-READ-SIGNED")
@matrix("sign", ["assertion", "response", "both"])
def test_altered_after_signing(sign: str) -> None:
    refuse(replaced(response(sign=sign), "alice@acme.example", "carol@acme.example"), "InvalidDigest")


def test_both_signatures_must_be_good() -> None:
    """A valid one around an invalid one, and the reverse."""
    by_other = response(Idp(number=1), assertion_id="_a")

    def swap(tree: Element) -> None:
        tree.replace(part(tree, f"{A}Assertion"), part(etree.fromstring(decode(by_other)), f"{A}Assertion"))

    refuse(response(before=swap, sign="response"), "no pinned certificate signed it: InvalidSignature")
    text = response(sign="both")
    refuse(replaced(text, 'Version="2.0"', 'Version="2.0" Consent="given"'), "InvalidDigest")


@matrix(
    ("signing", "reason"),
    [
        (Signing(method="rsa-sha1"), "SignatureMethod. .*rsa-sha1"),
        (Signing(method="rsa-sha224"), "SignatureMethod. .*rsa-sha224"),
        (Signing(digest="sha1"), "DigestMethod. .*sha1"),
        (Signing(digest="sha224"), "DigestMethod. .*sha224"),
        (Signing(canonicalization=INCLUSIVE), "CanonicalizationMethod. .*REC-xml-c14n"),
        (Signing(canonicalization=f"{EXCLUSIVE}WithComments"), "CanonicalizationMethod. .*WithComments"),
        (Signing(transforms=(ENVELOPED,)), "Transforms. doesn't contain exactly"),
        (Signing(transforms=(EXCLUSIVE,)), "Transforms. doesn't contain exactly"),
        (Signing(transforms=(EXCLUSIVE, ENVELOPED)), "Transform. .* is not allowed"),
        (Signing(transforms=(ENVELOPED, INCLUSIVE)), "Transform. .*REC-xml-c14n.* is not allowed"),
        (Signing(transforms=(ENVELOPED, f"{EXCLUSIVE}WithComments")), "Transform. .*WithComments"),
        (Signing(transforms=(ENVELOPED, XSLT)), "Transform. .*xslt.* is not allowed"),
        (Signing(transforms=(XPATH, EXCLUSIVE)), "Transform. .*xpath.* is not allowed"),
        (Signing(transforms=(ENVELOPED, f"{DS}base64")), "Transform. .*base64.* is not allowed"),
        (Signing(transforms=(ENVELOPED, XPATH, EXCLUSIVE)), "Transforms. doesn't contain exactly"),
        (Signing(transforms=(ENVELOPED, EXCLUSIVE, EXCLUSIVE)), "Transforms. doesn't contain exactly"),
        (Signing(uri=""), 'the signature refers to ""'),
        (Signing(uri="#other"), "the signature refers to .#other"),
        (Signing(uri="http://attacker.example/a.xml"), "the signature refers to .http"),
        (Signing(uri="#xpointer(id('_a1'))"), "the signature refers to .#xpointer"),
        (Signing(uri="#xpointer(/)"), "the signature refers to .#xpointer"),
        (Signing(prefixes=" ".join(f"p{number}" for number in range(33))), "PrefixList is too long"),
    ],
)
@matrix("sign", ["assertion", "response"])
def test_the_providers_own_key_does_not_excuse(signing: Signing, reason: str, sign: str) -> None:
    refuse(response(sign=sign, signing=signing, assertion_id="_a1"), reason)


@rule("SAML-REFERENCE")
def test_the_certificate_as_a_shared_secret() -> None:
    """An HMAC with a key that everybody knows."""
    public = IDP.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (IDP.certificate_der, IDP.certificate_pem.encode(), public):
        refuse(response(signing=Signing(method="hmac-sha256", hmac_key=secret)), "hmac-sha256.* is not allowed")


def test_a_method_for_another_kind_of_key() -> None:
    refuse(replaced(response(), "#rsa-sha256", "#ecdsa-sha256"), "none has a key of kind ec")


def test_elliptic_curve_signatures_in_another_encoding() -> None:
    """DER instead of r and s concatenated, and half of them."""
    idp = Idp(key_kind="ec")
    text = response(idp)
    value = re.findall("<ds:SignatureValue>(.*?)<", decode(text).decode())[0]
    for other in (decode(value)[:-1], decode(value)[:32], b"\x30\x46" + decode(value), bytes(64)):
        refuse(replaced(text, value, encode(other)), "no pinned certificate", pinned(idp))


def signature(tree: Element) -> Element:
    return part(tree, f"{A}Assertion/{S}Signature")


def doubled(path: str) -> Callable[[Element], None]:
    def edit(tree: Element) -> None:
        found = part(signature(tree), path) if path else signature(tree)
        found.addnext(etree.fromstring(etree.tostring(found, with_tail=False)))

    return edit


def added(path: str, name: str) -> Callable[[Element], None]:
    def edit(tree: Element) -> None:
        etree.SubElement(part(signature(tree), path) if path else signature(tree), f"{S}{name}")

    return edit


def nameless(path: str) -> Callable[[Element], None]:
    """Remove the name of the algorithm."""

    def edit(tree: Element) -> None:
        del part(signature(tree), path).attrib["Algorithm"]

    return edit


REFERENCE = f"{S}SignedInfo/{S}Reference"


@rule("SAML-SHAPE", "SAML-REFERENCE")
@matrix(
    ("edit", "reason"),
    [
        (doubled(""), "two signatures|several"),
        (doubled(f"{S}SignedInfo"), "at most one KeyInfo"),
        (doubled(f"{S}SignatureValue"), "at most one KeyInfo"),
        (doubled(f"{S}KeyInfo"), "at most one KeyInfo"),
        (doubled(f"{S}SignedInfo/{S}SignatureMethod"), "SignedInfo. doesn't contain exactly"),
        (doubled(f"{S}SignedInfo/{S}CanonicalizationMethod"), "SignedInfo. doesn't contain exactly"),
        (doubled(REFERENCE), "SignedInfo. doesn't contain exactly"),
        (doubled(f"{REFERENCE}/{S}DigestValue"), "Reference. doesn't contain exactly"),
        (doubled(f"{REFERENCE}/{S}DigestMethod"), "Reference. doesn't contain exactly"),
        (doubled(f"{REFERENCE}/{S}Transforms"), "Reference. doesn't contain exactly"),
        (added("", "Object"), "Object. in .Signature|at most one KeyInfo"),
        (added(f"{S}KeyInfo", "Object"), "Object. in .KeyInfo"),
        (added(f"{S}KeyInfo", "Manifest"), "Manifest. in .KeyInfo"),
        (added(f"{S}KeyInfo", "Signature"), "Signature. in .KeyInfo"),
        (added(f"{S}KeyInfo", "SignedInfo"), "SignedInfo. in .KeyInfo"),
        (added(f"{S}KeyInfo", "DigestValue"), "DigestValue. in .KeyInfo"),
        (added(f"{S}KeyInfo", "Transforms"), "Transforms. in .KeyInfo"),
        (added(f"{REFERENCE}/{S}DigestValue", "DigestValue"), "DigestValue. in .DigestValue"),
        (added(f"{REFERENCE}/{S}Transforms/{S}Transform[1]", "X"), "Transform. doesn't contain exactly"),
        (added(f"{REFERENCE}/{S}Transforms/{S}Transform[2]", "X"), "X. in .Transform"),
        (lambda tree: part(signature(tree), f".//{S}Transform[2]").set("Filter", "x"), "members that it must not have"),
        (added(f"{REFERENCE}/{S}DigestMethod", "X"), "DigestMethod. doesn't contain exactly"),
        (added(f"{S}SignedInfo/{S}SignatureMethod", "HMACOutputLength"), "SignatureMethod. doesn't contain exactly"),
        (added(f"{S}SignedInfo/{S}CanonicalizationMethod", "X"), "X. in .CanonicalizationMethod"),
        (nameless(f"{S}SignedInfo/{S}CanonicalizationMethod"), "CanonicalizationMethod. none is not allowed"),
        (nameless(f"{S}SignedInfo/{S}SignatureMethod"), "SignatureMethod. none is not allowed"),
        (nameless(f"{REFERENCE}/{S}DigestMethod"), "DigestMethod. none is not allowed"),
        (nameless(f"{REFERENCE}/{S}Transforms/{S}Transform[1]"), "Transform. none is not allowed"),
        (nameless(f"{REFERENCE}/{S}Transforms/{S}Transform[2]"), "Transform. none is not allowed"),
        (lambda tree: signature(tree)[0].set("Type", "x"), "SignedInfo. has attributes"),
        (lambda tree: part(signature(tree), REFERENCE).set("Type", f"{DS}Manifest"), "Reference. has attributes"),
    ],
)
def test_one_of_each_and_nothing_else(edit: Callable[[Element], None], reason: str) -> None:
    verdict(response())
    refuse(response(after=edit), reason)


@matrix("value", ["", "A", "AA=A", "not base64!", "A" * 1400, "QUJD\u00a0", "=", "////-_"])
def test_a_signature_value_that_is_none(value: str) -> None:
    def edit(tree: Element) -> None:
        signature(tree)[1].text = value

    refuse(response(after=edit), "SignatureValue. is not base64|impossible length")


def test_a_digest_of_another_length() -> None:
    def edit(tree: Element) -> None:
        part(signature(tree), f"{REFERENCE}/{S}DigestValue").text = "QUJD"

    refuse(response(after=edit), "DigestValue has an impossible length")


def test_only_the_bytes_of_the_very_element_are_ever_handed_on() -> None:
    """If a signature about something else passed the checks of its structure, its target would still not be
    accepted."""
    root = etree.fromstring('<a ID="_a"><b ID="_b"><c ID="_c"/></b></a>')
    sign_element(root[0], IDP.key, IDP.certificate_der, Signing(uri="#_c", transforms=(EXCLUSIVE,)))
    # The digest covers all of b; make it cover c.
    digest = base64.b64encode(hashlib.sha256(b'<c ID="_c"></c>').digest()).decode()
    part(root[0], f".//{S}DigestValue").text = digest
    info = part(root[0], f"{S}Signature/{S}SignedInfo")
    value = signature_value(canonical(info), IDP.key, "rsa-sha256")
    part(root[0], f"{S}Signature/{S}SignatureValue").text = base64.b64encode(value).decode()
    with pytest.raises(saml.SamlRefused, match="the signed bytes are a different element"):
        verified(root[0], [IDP.certificate_der], NOW_MS, accept_expired=False)


@rule("SAML-READ-SIGNED")
@matrix("sign", ["assertion", "response"])
def test_what_is_read_is_what_was_verified_and_not_what_came(sign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the two ever differed, only the verified bytes would be used."""

    def another(*given: Any) -> Element:
        found = verified(*given)
        [name_id] = found.iter(f"{A}NameID")
        name_id.text = "of the verified bytes"
        return found

    monkeypatch.setattr(shape, "verified", another)
    assert verdict(response(sign=sign)).name_id == "of the verified bytes"


def test_text_between_the_parts() -> None:
    def edit(tree: Element) -> None:
        signature(tree)[0][0].tail = "x"

    refuse(response(after=edit), "SignedInfo. contains text")


def test_a_certificate_that_is_not_yet_valid() -> None:
    later = Idp(not_before_ms=NOW_MS + 10**9, not_after_ms=NOW_MS + 10**10)
    refuse(response(later), "not yet valid", pinned(later))
    assert verdict(response(later), pinned(later, accept_expired_certificates=True))


@matrix("uri", ["_a1", "#x_a1", "x#_a1", "##_a1", "http://idp.example/#_a1", "#_a1 ", "#_A1", "#"])
def test_the_reference_is_exactly_the_parents_id(uri: str) -> None:
    text = response(sign="assertion", assertion_id="_a1", signing=Signing(uri=uri))
    refuse(text, "the signature refers to .*not to its parent")
    assert verdict(response(sign="assertion", assertion_id="_a1", signing=Signing(uri="#_a1"))).id == "_a1"
