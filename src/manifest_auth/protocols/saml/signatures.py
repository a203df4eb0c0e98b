"""Signatures: checks the structure of one before any computation, then verifies it."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from manifest_auth.errors import Reason
from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.document import (
    DS,
    ENVELOPED,
    EXCLUSIVE,
    MORE,
    XENC,
    InvalidSaml,
    SamlRefused,
    ds,
    local,
    quoted,
    text_of,
)

# It has one SignedInfo, one Reference, one DigestValue, one SignatureValue: several of them caused CVE-2025-29774 and
# CVE-2025-29775. Only two transforms are allowed, so XSLT and XPath are never processed.

_PSS: Final = "http://www.w3.org/2007/05/xmldsig-more#"

#: Allowed digests and their length in bytes.
DIGESTS: Final = {f"{XENC}sha256": 32, f"{MORE}sha384": 48, f"{XENC}sha512": 64}
#: Allowed signature methods and their kinds of keys. No SHA-1, no SHA-224, no HMAC, no DSA.
METHODS: Final = (
    {f"{MORE}rsa-sha{bits}": "rsa" for bits in (256, 384, 512)}
    | {f"{_PSS}sha{bits}-rsa-MGF1": "rsa" for bits in (256, 384, 512)}
    | {f"{MORE}ecdsa-sha{bits}": "ec" for bits in (256, 384, 512)}
)
_LONGEST_VALUE = 1024  # bytes: RSA of 8192 bits
_MOST_PREFIXES = 32
_SPACE = re.compile(r"[ \t\r\n]+")


def check_signature(signature: etree._Element, target: str) -> None:
    """Checks a Signature on the element with the ID ``target``. Raises :class:`SamlRefused`."""
    parts = list(signature)
    names = [part.tag for part in parts]
    if names not in (
        [ds("SignedInfo"), ds("SignatureValue")],
        [ds("SignedInfo"), ds("SignatureValue"), ds("KeyInfo")],
    ):
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
    """The bytes of a base64 text; white space in it is legal (XML Schema, base64Binary).

    Raises :class:`SamlRefused`.
    """
    text = _SPACE.sub("", text_of(element))
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidSaml(f"{quoted(local(element))} is not base64") from None


def _check_reference(reference: etree._Element, target: str) -> None:
    """Checks that the URI is ``#`` and the ID of the parent, not empty or external (CVE-2024-45409: a digest of another
    element)."""
    if reference.get("URI") != f"#{target}":
        raise InvalidSaml(f"the signature is about {quoted(reference.get('URI'))}, not about its parent")
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
    """Exclusive canonicalisation may have one InclusiveNamespaces with a list of prefixes, nothing else."""
    if set(method.attrib) != {"Algorithm"} or len(method) > 1:
        raise InvalidSaml(f"{quoted(local(method))} has members that it must not have")
    for inclusive in method:
        prefixes = inclusive.get("PrefixList", "").split()
        if inclusive.tag != f"{{{EXCLUSIVE}}}InclusiveNamespaces" or set(inclusive.attrib) - {"PrefixList"}:
            raise InvalidSaml(f"{quoted(local(inclusive))} in {quoted(local(method))}")
        if len(inclusive) or len(prefixes) > _MOST_PREFIXES:
            raise InvalidSaml("a PrefixList is too long or not alone")


def _exactly(parent: etree._Element, *names: str, attributes: tuple[str, ...]) -> list[etree._Element]:
    """The children, which must have these names of XML Signature, in this order, without text between them."""
    children = list(parent)
    if [child.tag for child in children] != [f"{{{DS}}}{name}" for name in names]:
        raise InvalidSaml(f"{quoted(local(parent))} does not hold exactly {', '.join(names) or 'nothing'}")
    if set(parent.attrib) - {*attributes, "Id"}:
        raise InvalidSaml(f"{quoted(local(parent))} has attributes that it must not have")
    if children and any(text and text.strip() for text in (parent.text, *(child.tail for child in children))):
        raise InvalidSaml(f"{quoted(local(parent))} holds text")
    return children


# Later code reads only the verified bytes, parsed again.

_NOT_SIGNED = Reason(
    "response: no pinned certificate signed it: …",
    cause="the provider signs with a new key, or the certificate expired",
    cure="pin the new certificate beside the old one",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_METHODS = frozenset(SignatureMethod(address) for address in METHODS)
_DIGESTS = frozenset(DigestAlgorithm(address) for address in DIGESTS)

logging.getLogger("signxml").setLevel(logging.INFO)  # at DEBUG it logs whole responses


def verified(
    element: etree._Element, certificates: Sequence[bytes], now_ms: int, accept_expired: bool
) -> etree._Element:
    """The element, parsed from the canonical bytes that its signature covers, without the signature.

    The caller has checked the element's structure. Any of ``certificates`` (DER) may have signed; KeyInfo is ignored.
    ``accept_expired``: the dates of the certificates do not matter, since the keys are pinned. Raises
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
    raise SamlRefused(_NOT_SIGNED.with_("; ".join(reasons) or f"none with a key of kind {kind}"))


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
    """Parses the signed bytes and checks that they are this element: an empty canonical form has a valid digest too
    (CVE-2025-66568)."""
    root = document.parse(signed, largest=4 * document.LARGEST)  # canonical forms repeat namespace declarations
    if root.tag != element.tag or root.get("ID") != element.get("ID"):
        raise InvalidSaml("the signed bytes are another element")
    return root


def _kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa"
    return "ec" if isinstance(key, ec.EllipticCurvePublicKey) else ""
