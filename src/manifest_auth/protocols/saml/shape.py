"""Structure and signatures of a response, checked in this order: every element has only one allowed place."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from manifest_auth.errors import Reason
from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.document import (
    ASSERTION,
    DS,
    ENVELOPED,
    EXCLUSIVE,
    MORE,
    PROTOCOL,
    XENC,
    InvalidSaml,
    NotBase64,
    SamlRefused,
    assertion,
    ds,
    local,
    protocol,
    quoted,
    text_of,
    xenc,
)

# It has one SignedInfo, one Reference, one DigestValue, and one SignatureValue; several of them caused CVE-2025-29774
# and CVE-2025-29775. Only two transforms are allowed, so XSLT and XPath are never processed.

_PSS: Final = "http://www.w3.org/2007/05/xmldsig-more#"

#: Allowed digests, and their lengths in bytes.
DIGESTS: Final = {f"{XENC}sha256": 32, f"{MORE}sha384": 48, f"{XENC}sha512": 64}
#: Allowed signature methods, and their kinds of keys. SHA-1, SHA-224, HMAC, and DSA are not allowed.
METHODS: Final = (
    {f"{MORE}rsa-sha{bits}": "rsa" for bits in (256, 384, 512)}
    | {f"{_PSS}sha{bits}-rsa-MGF1": "rsa" for bits in (256, 384, 512)}
    | {f"{MORE}ecdsa-sha{bits}": "ec" for bits in (256, 384, 512)}
)
_LONGEST_VALUE = 1024  # bytes, for RSA of 8192 bits
_MOST_PREFIXES = 32
_SPACE = re.compile(r"[ \t\r\n]+")


def check_signature(signature: etree._Element, target: str) -> None:
    """Checks a Signature on the element with the ID ``target``. Raises :class:`SamlRefused`."""
    parts = list(signature)
    names = [part.tag for part in parts]
    if names not in ([ds("SignedInfo"), ds("SignatureValue")], [ds("SignedInfo"), ds("SignatureValue"), ds("KeyInfo")]):
        raise InvalidSaml("a signature is not one SignedInfo, one SignatureValue and at most one KeyInfo")
    if not 0 < len(base64_of(parts[1])) <= _LONGEST_VALUE:
        raise InvalidSaml("the SignatureValue has an impossible length")
    canonicalization, method, reference = _exactly(
        parts[0], "CanonicalizationMethod", "SignatureMethod", "Reference", attributes=()
    )
    _check_algorithm(canonicalization, {EXCLUSIVE})
    _check_prefixes(canonicalization)
    _check_algorithm(method, METHODS)
    _exactly(method, attributes=("Algorithm",))
    _check_reference(reference, target)


def base64_of(element: etree._Element) -> bytes:
    """Returns the bytes of a base64 text, which can contain white space (XML Schema, base64Binary).

    Raises :class:`SamlRefused`.
    """
    text = _SPACE.sub("", text_of(element))
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidSaml(f"{quoted(local(element))} is not base64") from None


def _check_reference(reference: etree._Element, target: str) -> None:
    """Checks that the URI is ``#`` plus the ID of the parent, not empty or external (CVE-2024-45409: a digest of
    another element)."""
    if reference.get("URI") != f"#{target}":
        raise InvalidSaml(f"the signature refers to {quoted(reference.get('URI'))}, not to its parent")
    transforms, digest_method, digest_value = _exactly(
        reference, "Transforms", "DigestMethod", "DigestValue", attributes=("URI",)
    )
    enveloped, exclusive = _exactly(transforms, "Transform", "Transform", attributes=())
    _check_algorithm(enveloped, {ENVELOPED})
    _exactly(enveloped, attributes=("Algorithm",))
    _check_algorithm(exclusive, {EXCLUSIVE})
    _check_prefixes(exclusive)
    _check_algorithm(digest_method, DIGESTS)
    _exactly(digest_method, attributes=("Algorithm",))
    if len(base64_of(digest_value)) != DIGESTS[digest_method.get("Algorithm", "")]:
        raise InvalidSaml("the DigestValue has an impossible length")


def _check_algorithm(element: etree._Element, allowed: set[str] | dict[str, int] | dict[str, str]) -> None:
    if element.get("Algorithm") not in allowed:
        raise InvalidSaml(f"{quoted(local(element))} {quoted(element.get('Algorithm'))} is not allowed")


def _check_prefixes(method: etree._Element) -> None:
    """Checks the parameters of exclusive canonicalization: at most one InclusiveNamespaces with a list of prefixes."""
    if set(method.attrib) != {"Algorithm"} or len(method) > 1:
        raise InvalidSaml(f"{quoted(local(method))} has members that it must not have")
    for inclusive in method:
        prefixes = inclusive.get("PrefixList", "").split()
        if inclusive.tag != f"{{{EXCLUSIVE}}}InclusiveNamespaces" or set(inclusive.attrib) - {"PrefixList"}:
            raise InvalidSaml(f"{quoted(local(inclusive))} in {quoted(local(method))}")
        if len(inclusive) or len(prefixes) > _MOST_PREFIXES:
            raise InvalidSaml("a PrefixList is too long or not alone")


def _exactly(parent: etree._Element, *names: str, attributes: tuple[str, ...]) -> list[etree._Element]:
    """Returns the children, which must have these names of XML Signature in this order, with no text between them."""
    children = list(parent)
    if [child.tag for child in children] != [f"{{{DS}}}{name}" for name in names]:
        raise InvalidSaml(f"{quoted(local(parent))} doesn't contain exactly {', '.join(names) or 'nothing'}")
    if set(parent.attrib) - {*attributes, "Id"}:
        raise InvalidSaml(f"{quoted(local(parent))} has attributes that it must not have")
    if children and any(text and text.strip() for text in (parent.text, *(child.tail for child in children))):
        raise InvalidSaml(f"{quoted(local(parent))} contains text")
    return children


# Later code reads only the verified bytes, parsed again.

_NOT_SIGNED = Reason(
    "response: no pinned certificate signed it: …",
    cause="The provider signs with a new key, or the certificate expired",
    cure="Pin the new certificate in addition to the old one",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_METHODS = frozenset(SignatureMethod(address) for address in METHODS)
_DIGESTS = frozenset(DigestAlgorithm(address) for address in DIGESTS)

logging.getLogger("signxml").setLevel(logging.INFO)  # logs whole responses at DEBUG


def verified(
    element: etree._Element, certificates: Sequence[bytes], now_ms: int, accept_expired: bool
) -> etree._Element:
    """Returns the element, parsed from the canonical bytes that its signature covers, without the signature.

    The caller must have checked the element's structure. Any of ``certificates`` (DER) can be the signer; KeyInfo is
    ignored. ``accept_expired`` ignores the dates of the certificates, because the keys are pinned. Raises
    :class:`SamlRefused`.
    """
    copy = document.standalone(element)
    signature = copy.find(ds("Signature"))
    assert signature is not None
    for key_info in signature.findall(ds("KeyInfo")):
        signature.remove(key_info)
    method = signature.find(f"{ds('SignedInfo')}/{ds('SignatureMethod')}")
    assert method is not None
    kind = METHODS[method.get("Algorithm", "")]
    reasons = []
    for der in certificates:
        certificate = x509.load_der_x509_certificate(der)
        if _kind(certificate) == kind:
            try:
                signed = _signed_bytes(copy, certificate, now_ms, accept_expired)
            except (SignXMLException, ValueError, etree.LxmlError) as error:
                reasons.append(f"{type(error).__name__} {quoted(str(error))}")
                continue
            return _reread(signed, element)
    raise SamlRefused(_NOT_SIGNED.with_("; ".join(reasons) or f"none has a key of kind {kind}"))


def _signed_bytes(copy: etree._Element, certificate: x509.Certificate, now_ms: int, accept_expired: bool) -> bytes:
    at = _EPOCH + timedelta(milliseconds=now_ms)
    if accept_expired:
        at = max(certificate.not_valid_before_utc, min(at, certificate.not_valid_after_utc))
    configuration = SignatureConfiguration(
        location="./",
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        ignore_ambiguous_key_info=True,
        verification_time=at,
    )
    result = XMLVerifier().verify(
        copy,
        x509_cert=certificate,
        id_attribute="ID",
        expect_config=configuration,
        parser=document.parser(),
        validate_schema=False,  # the checks above are stricter than the schema
    )
    assert not isinstance(result, list)
    return result.signed_data


def _reread(signed: bytes, element: etree._Element) -> etree._Element:
    """Parses the signed bytes, and checks that they are this element, because an empty canonical form also has a valid
    digest (CVE-2025-66568)."""
    root = document.parse(signed, largest=4 * document.LARGEST)  # canonical forms repeat namespace declarations
    if root.tag != element.tag or root.get("ID") != element.get("ID"):
        raise InvalidSaml("the signed bytes are a different element")
    return root


def _kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa"
    return "ec" if isinstance(key, ec.EllipticCurvePublicKey) else ""


# Signature wrapping (XSW) moves the signed element, and puts a forged one where a program searches for it. This code
# never searches. A document with an element in the wrong place is rejected before any signature is read.

_ID = re.compile(r"[\w.\-:]{1,256}")

_ASSERTIONS = (assertion("Assertion"), assertion("EncryptedAssertion"))
#: The allowed children of a Response and an Assertion, according to the schemas of SAML core.
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
#: Names that are allowed in only one namespace. The same name in another could deceive code that uses local names.
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
#: Elements of XML Signature and Encryption that affect processing, and their allowed parents.
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
    """Checks the root, children, IDs, and places of a whole response. Raises :class:`InvalidSaml`."""
    check_root(root)
    _check_children(root, _OF_RESPONSE)
    for name in ("Issuer", "Extensions"):
        if sum(local(child) == name for child in root) > 1:
            raise InvalidSaml(f"several {quoted(name)}")
    _check_everywhere(root)
    for signed in (root, root.find(assertion("Assertion"))):
        if signed is not None:
            _check_signed(signed)


def check_assertion(root: etree._Element) -> None:
    """Like :func:`check_response`, but for an assertion as a separate document, after decryption or verification."""
    if root.tag != assertion("Assertion"):
        raise InvalidSaml(f"not a SAML 2.0 assertion but {quoted(str(root.tag))}")
    if sum(1 for _ in root.iter(*_ASSERTIONS)) != 1:
        raise InvalidSaml("an assertion in the assertion")
    _check_everywhere(root)
    _check_signed(root)


def the_assertion(response: etree._Element) -> etree._Element:
    """Returns the only Assertion or EncryptedAssertion of a whole response, a direct child. Raises
    :class:`InvalidSaml`."""
    found = list(response.iter(*_ASSERTIONS))
    if len(found) != 1:
        raise InvalidSaml(f"{len(found)} assertions instead of one")
    if found[0].getparent() is not response:
        raise InvalidSaml("the assertion isn't a child of the response")
    return found[0]


def only_child(parent: etree._Element, name: str) -> etree._Element:
    """Returns the only child with that qualified name. Raises :class:`InvalidSaml` if there is none or more than
    one."""
    found = parent.findall(name)
    if len(found) != 1:
        raise InvalidSaml(f"{len(found)} of {quoted(name.rpartition('}')[2])} in {quoted(local(parent))}")
    return found[0]


def is_signed(element: etree._Element) -> bool:
    """Whether the element has a signature, valid or not."""
    return element.find(ds("Signature")) is not None


def _check_signed(element: etree._Element) -> None:
    """Checks the ID and the number of signatures of a Response or an Assertion."""
    if local(element) == "Assertion":
        _check_children(element, _OF_ASSERTION)
    if not _ID.fullmatch(element.get("ID", "")):
        raise InvalidSaml(f"{quoted(local(element))} has no valid ID")
    signatures = element.findall(ds("Signature"))
    if len(signatures) > 1:
        raise InvalidSaml("two signatures on one element")
    for signature in signatures:
        check_signature(signature, element.get("ID", ""))


def _check_children(parent: etree._Element, allowed: set[str]) -> None:
    for child in parent:
        if child.tag not in allowed:
            raise InvalidSaml(f"{quoted(str(child.tag))} in {quoted(local(parent))}")


def _check_everywhere(root: etree._Element) -> None:
    """Checks that IDs are unique in every spelling (ID, Id, id, xml:id), and that elements are in their places."""
    seen: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if str(name).rpartition("}")[2].lower() == "id":
                if str(value) in seen:
                    raise InvalidSaml(f"ID {quoted(str(value))} is used twice")
                seen.add(str(value))
        tag = str(element.tag)
        namespace, _, name = tag.rpartition("}")
        if _RESERVED.get(name, namespace[1:]) != namespace[1:]:
            raise InvalidSaml(f"{quoted(tag)} in a foreign namespace")
        parent = element.getparent()
        if tag in _PLACES and (parent is not None) and parent.tag not in _PLACES[tag]:
            raise InvalidSaml(f"{quoted(name)} in {quoted(local(parent))}")


_LONGEST_TEXT = document.LARGEST * 3 // 2  # base64 with line breaks


class UnverifiedResponse(NamedTuple):
    """An unverified response. ``document`` is its XML. ``issuer`` comes from the Response, or else from the plain
    Assertion.

    ``audiences`` is empty if the assertion is encrypted. Everything can be forged. It only selects the provider, and
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

    Raises :class:`NotBase64`, or :class:`InvalidSaml` for other errors.
    """
    if len(encoded) > _LONGEST_TEXT:
        raise InvalidSaml("the response is longer than 256 KiB")
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
