"""Structure of a response, read and checked before its signature: every element must be in its only allowed place."""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

from lxml import etree

from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.document import (
    ASSERTION,
    DS,
    PROTOCOL,
    XENC,
    InvalidSaml,
    NotBase64,
    assertion,
    ds,
    local,
    protocol,
    quoted,
    xenc,
)
from manifest_auth.protocols.saml.signatures import check_signature

# Signature wrapping (XSW) moves the signed element and puts a forged one where a program searches for it. Here nothing
# is searched: a document with an element in another place is refused before a signature is read.

_ID = re.compile(r"[\w.\-:]{1,256}")

_ASSERTIONS = (assertion("Assertion"), assertion("EncryptedAssertion"))
#: Allowed children of a Response and an Assertion, by the schemas of SAML core.
_OF_RESPONSE = {assertion("Issuer"), ds("Signature"), protocol("Extensions"), protocol("Status"), *_ASSERTIONS}
_OF_ASSERTION = {ds("Signature")} | {
    assertion(name)
    for name in (
        "Issuer",
        "Subject",
        "Conditions",
        "Advice",
        "Statement",
        "AuthnStatement",
        "AuthzDecisionStatement",
        "AttributeStatement",
    )
}
#: Names that are allowed in one namespace only; the same name in another could deceive code that uses local names.
_RESERVED = {
    "Response": PROTOCOL,
    "Status": PROTOCOL,
    "Assertion": ASSERTION,
    "EncryptedAssertion": ASSERTION,
    "NameID": ASSERTION,
    "Signature": DS,
    "SignedInfo": DS,
    "Reference": DS,
    "EncryptedData": XENC,
    "EncryptedKey": XENC,
}
_IN_ENCRYPTED = {xenc("EncryptedData"), xenc("EncryptedKey")}
#: Elements of XML Signature and Encryption that influence processing, and their allowed parents.
_PLACES: dict[str, set[str]] = {
    ds("Signature"): {protocol("Response"), assertion("Assertion")},
    ds("SignedInfo"): {ds("Signature")},
    ds("SignatureValue"): {ds("Signature")},
    ds("CanonicalizationMethod"): {ds("SignedInfo")},
    ds("SignatureMethod"): {ds("SignedInfo")},
    ds("Reference"): {ds("SignedInfo")},
    ds("Transforms"): {ds("Reference")},
    ds("Transform"): {ds("Transforms")},
    ds("DigestValue"): {ds("Reference")},
    ds("DigestMethod"): {ds("Reference"), xenc("EncryptionMethod")},
    ds("KeyInfo"): {ds("Signature"), assertion("SubjectConfirmationData")} | _IN_ENCRYPTED,
    ds("Object"): set(),
    ds("Manifest"): set(),
    ds("SignatureProperties"): set(),
    xenc("EncryptedData"): {assertion("EncryptedAssertion"), assertion("EncryptedAttribute"), assertion("EncryptedID")},
    xenc("EncryptedKey"): {
        ds("KeyInfo"),
        assertion("EncryptedAssertion"),
        assertion("EncryptedAttribute"),
        assertion("EncryptedID"),
    },
    xenc("CipherData"): _IN_ENCRYPTED,
    xenc("CipherValue"): {xenc("CipherData")},
    xenc("CipherReference"): set(),
    xenc("Transforms"): set(),
}


def check_root(root: etree._Element) -> None:
    """Checks that the root is a Response. Raises :class:`InvalidSaml`."""
    if root.tag != protocol("Response"):
        raise InvalidSaml(f"not a SAML 2.0 response but {quoted(str(root.tag))}")


def check_response(root: etree._Element) -> None:
    """Checks root, children, IDs and places of a whole response. Raises :class:`InvalidSaml`."""
    check_root(root)
    _check_children(root, _OF_RESPONSE)
    for name in ("Issuer", "Extensions"):
        _at_most_one(root, name)
    _check_everywhere(root)
    for signed in (root, root.find(assertion("Assertion"))):
        if signed is not None:
            _check_signed(signed)


def check_assertion(root: etree._Element) -> None:
    """As :func:`check_response`, for an assertion as its own document: a decrypted or verified one."""
    if root.tag != assertion("Assertion"):
        raise InvalidSaml(f"not a SAML 2.0 assertion but {quoted(str(root.tag))}")
    if sum(1 for _ in root.iter(*_ASSERTIONS)) != 1:
        raise InvalidSaml("an assertion in the assertion")
    _check_everywhere(root)
    _check_signed(root)


def the_assertion(response: etree._Element) -> etree._Element:
    """The one Assertion or EncryptedAssertion of a whole response, a child of it. Raises :class:`InvalidSaml`."""
    found = list(response.iter(*_ASSERTIONS))
    if len(found) != 1:
        raise InvalidSaml(f"{len(found)} assertions instead of one")
    if found[0].getparent() is not response:
        raise InvalidSaml("the assertion is no child of the response")
    return found[0]


def only_child(parent: etree._Element, name: str) -> etree._Element:
    """The one child of that qualified name. Raises :class:`InvalidSaml` for none and for several."""
    found = parent.findall(name)
    if len(found) != 1:
        raise InvalidSaml(f"{len(found)} of {quoted(name.rpartition('}')[2])} in {quoted(local(parent))}")
    return found[0]


def is_signed(element: etree._Element) -> bool:
    """Whether the element has a signature, valid or not."""
    return element.find(ds("Signature")) is not None


def _check_signed(element: etree._Element) -> None:
    """Checks ID and number of signatures of a Response or an Assertion."""
    if local(element) == "Assertion":
        _check_children(element, _OF_ASSERTION)
    if not _ID.fullmatch(element.get("ID", "")):
        raise InvalidSaml(f"{quoted(local(element))} has no proper ID")
    signatures = element.findall(ds("Signature"))
    if len(signatures) > 1:
        raise InvalidSaml("two signatures on one element")
    for signature in signatures:
        check_signature(signature, element.get("ID", ""))


def _check_children(parent: etree._Element, allowed: set[str]) -> None:
    for child in parent:
        if child.tag not in allowed:
            raise InvalidSaml(f"{quoted(str(child.tag))} in {quoted(local(parent))}")


def _at_most_one(parent: etree._Element, name: str) -> None:
    if sum(local(child) == name for child in parent) > 1:
        raise InvalidSaml(f"several {quoted(name)}")


def _check_everywhere(root: etree._Element) -> None:
    """Checks that IDs are unique in every spelling (ID, Id, id, xml:id), and that elements are in their places."""
    seen: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if str(name).rpartition("}")[2].lower() == "id":
                if str(value) in seen:
                    raise InvalidSaml(f"ID {quoted(str(value))} is given twice")
                seen.add(str(value))
        tag = str(element.tag)
        namespace, _, name = tag.rpartition("}")
        if _RESERVED.get(name, namespace[1:]) != namespace[1:]:
            raise InvalidSaml(f"{quoted(tag)} in a foreign namespace")
        parent = element.getparent()
        if tag in _PLACES and (parent is not None) and parent.tag not in _PLACES[tag]:
            raise InvalidSaml(f"{quoted(name)} in {quoted(local(parent))}")


# Reads a response before verification, to find its provider.

_LONGEST_TEXT = document.LARGEST * 3 // 2  # base64 and its line breaks


class UnverifiedResponse(NamedTuple):
    """A response that is not verified. ``document``: its XML. ``issuer``: of the Response, else of the plain Assertion.

    ``audiences`` is empty when the assertion is encrypted. Everything may be forged: it only selects the provider, and
    :func:`manifest_auth.protocols.saml.verify` checks everything again.
    """

    document: bytes
    issuer: str | None
    in_response_to: str | None
    audiences: tuple[str, ...]
    is_encrypted: bool
    destination: str | None


def read_response(encoded: str) -> UnverifiedResponse:
    """Reads the response of a form field or JSON member: base64 with line breaks, at most 256 KiB.

    Raises :class:`NotBase64`, and :class:`InvalidSaml` for other errors.
    """
    if len(encoded) > _LONGEST_TEXT:
        raise InvalidSaml("the response is too large")
    try:
        raw = encoded.translate({10: None, 13: None}).encode("ascii")
        content = binascii.a2b_base64(raw, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise NotBase64(f"the response is not base64: {error}") from None
    root = document.parse(content)
    check_root(root)
    plain = assertion("Assertion")
    audience = f"{plain}/{assertion('Conditions')}/{assertion('AudienceRestriction')}/{assertion('Audience')}"
    return UnverifiedResponse(
        document=content,
        issuer=_text(root, assertion("Issuer")) or _text(root, f"{plain}/{assertion('Issuer')}"),
        in_response_to=root.get("InResponseTo"),
        audiences=tuple(document.text_of(one).strip() for one in root.findall(audience)),
        is_encrypted=root.find(assertion("EncryptedAssertion")) is not None,
        destination=root.get("Destination"),
    )


def _text(root: etree._Element, path: str) -> str | None:
    found = root.find(path)
    return None if found is None else document.text_of(found).strip() or None
