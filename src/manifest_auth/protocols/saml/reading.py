"""Reads a response before verification, to find its provider."""

from __future__ import annotations

import binascii
from typing import NamedTuple

from lxml import etree

from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.errors import NotBase64, Refused
from manifest_auth.protocols.saml.names import assertion
from manifest_auth.protocols.saml.shape import check_root

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


def read(encoded: str) -> UnverifiedResponse:
    """Reads the response of a form field or JSON member: base64 with line breaks, at most 256 KiB.

    Raises :class:`NotBase64`, and :class:`Refused` for other errors.
    """
    if len(encoded) > _LONGEST_TEXT:
        raise Refused("the response is too large")
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
