"""Verifies signatures.

Later code reads only the verified bytes, parsed again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.errors import Refused, quoted
from manifest_auth.protocols.saml.names import ds
from manifest_auth.protocols.saml.signature_shape import DIGESTS, METHODS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_METHODS = frozenset(SignatureMethod(address) for address in METHODS)
_DIGESTS = frozenset(DigestAlgorithm(address) for address in DIGESTS)

logging.getLogger("signxml").setLevel(logging.INFO)  # at DEBUG it logs whole responses


def verified(
    element: etree._Element, certificates: Sequence[bytes], now_ms: int, accept_expired: bool
) -> etree._Element:
    """The element, parsed from the canonical bytes that its signature covers, without the signature.

    The caller has checked the element's structure. Any of ``certificates`` (DER) may have signed; KeyInfo is ignored.
    ``accept_expired``: the dates of the certificates do not matter, since the keys are pinned. Raises :class:`Refused`.
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
    raise Refused(f"no pinned certificate signed it: {'; '.join(reasons) or f'none with a key of kind {kind}'}")


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
        validate_schema=False,  # signature_shape.py is stricter than the schema
    )
    assert not isinstance(result, list)
    return result.signed_data


def _reread(signed: bytes, element: etree._Element) -> etree._Element:
    """Parses the signed bytes and checks that they are this element: an empty canonical form has a valid digest too
    (CVE-2025-66568)."""
    root = document.parse(signed, largest=4 * document.LARGEST)  # canonical forms repeat namespace declarations
    if root.tag != element.tag or root.get("ID") != element.get("ID"):
        raise Refused("the signed bytes are another element")
    return root


def _kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa"
    return "ec" if isinstance(key, ec.EllipticCurvePublicKey) else ""
