"""Checks the structure of a signature before any computation.

It has one SignedInfo, one Reference, one DigestValue, one SignatureValue: several of them caused CVE-2025-29774 and
CVE-2025-29775. Only two transforms are allowed, so XSLT and XPath are never processed.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from lxml import etree

from manifest_auth.protocols.saml.document import local, text_of
from manifest_auth.protocols.saml.errors import Refused, quoted
from manifest_auth.protocols.saml.names import DS, ENVELOPED, EXCLUSIVE, MORE, XENC, ds

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
    """Checks a Signature on the element with the ID ``target``. Raises :class:`Refused`."""
    parts = list(signature)
    names = [part.tag for part in parts]
    if names not in (
        [ds("SignedInfo"), ds("SignatureValue")],
        [ds("SignedInfo"), ds("SignatureValue"), ds("KeyInfo")],
    ):
        raise Refused("a signature is not one SignedInfo, one SignatureValue and at most one KeyInfo")
    if not 0 < len(base64_of(parts[1])) <= _LONGEST_VALUE:
        raise Refused("the SignatureValue has an impossible length")
    canonicalization, method, reference = _exactly(
        parts[0], "CanonicalizationMethod", "SignatureMethod", "Reference", attributes=()
    )
    _check_algorithm(canonicalization, {EXCLUSIVE})
    _check_prefixes(canonicalization)
    _check_algorithm(method, METHODS)
    _exactly(method, attributes=("Algorithm",))
    _check_reference(reference, target)


def base64_of(element: etree._Element) -> bytes:
    """The bytes of a base64 text; white space in it is legal (XML Schema, base64Binary). Raises :class:`Refused`."""
    text = _SPACE.sub("", text_of(element))
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused(f"{quoted(local(element))} is not base64") from None


def _check_reference(reference: etree._Element, target: str) -> None:
    """Checks that the URI is ``#`` and the ID of the parent, not empty or external (CVE-2024-45409: a digest of another
    element)."""
    if reference.get("URI") != f"#{target}":
        raise Refused(f"the signature is about {quoted(reference.get('URI'))}, not about its parent")
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
        raise Refused("the DigestValue has an impossible length")


def _check_algorithm(element: etree._Element, allowed: set[str] | dict[str, int] | dict[str, str]) -> None:
    if element.get("Algorithm") not in allowed:
        raise Refused(f"{quoted(local(element))} {quoted(element.get('Algorithm'))} is not allowed")


def _check_prefixes(method: etree._Element) -> None:
    """Exclusive canonicalisation may have one InclusiveNamespaces with a list of prefixes, nothing else."""
    if set(method.attrib) != {"Algorithm"} or len(method) > 1:
        raise Refused(f"{quoted(local(method))} has members that it must not have")
    for inclusive in method:
        prefixes = inclusive.get("PrefixList", "").split()
        if inclusive.tag != f"{{{EXCLUSIVE}}}InclusiveNamespaces" or set(inclusive.attrib) - {"PrefixList"}:
            raise Refused(f"{quoted(local(inclusive))} in {quoted(local(method))}")
        if len(inclusive) or len(prefixes) > _MOST_PREFIXES:
            raise Refused("a PrefixList is too long or not alone")


def _exactly(parent: etree._Element, *names: str, attributes: tuple[str, ...]) -> list[etree._Element]:
    """The children, which must have these names of XML Signature, in this order, without text between them."""
    children = list(parent)
    if [child.tag for child in children] != [f"{{{DS}}}{name}" for name in names]:
        raise Refused(f"{quoted(local(parent))} does not hold exactly {', '.join(names) or 'nothing'}")
    if set(parent.attrib) - {*attributes, "Id"}:
        raise Refused(f"{quoted(local(parent))} has attributes that it must not have")
    if children and any(text and text.strip() for text in (parent.text, *(child.tail for child in children))):
        raise Refused(f"{quoted(local(parent))} holds text")
    return children
