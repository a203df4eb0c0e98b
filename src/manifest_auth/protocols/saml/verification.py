"""The whole way of a response from text to person, in its order (security bar, rules 68 to 75).

Shape of the document; signature of the response, from then on only its verified bytes; status and addresses;
decryption; signature of the assertion, from then on only its verified bytes; conditions. Both signatures count when
both are there, one is enough. What only the unsigned envelope says can lead to a refusal and to nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

from lxml import etree

from manifest_auth.protocols.saml import document, shape, signatures
from manifest_auth.protocols.saml.conditions import Assertion, read_assertion
from manifest_auth.protocols.saml.decryption import UNREADABLE, decrypted
from manifest_auth.protocols.saml.envelope import Expected, check_envelope, check_status
from manifest_auth.protocols.saml.errors import Refused
from manifest_auth.protocols.saml.names import assertion
from manifest_auth.protocols.saml.reading import Shown


class Policy(NamedTuple):
    """What one provider pins.

    ``issuer``: its entity id. ``audience``: our entity id for this tenant. ``acs``: our assertion consumer address.
    ``certificates``: in DER, any of them may have signed. ``decryption_keys``: private keys in PEM, newest first.
    """

    issuer: str
    audience: str
    acs: str
    certificates: tuple[bytes, ...]
    accept_expired_certificates: bool
    decryption_keys: tuple[bytes, ...]
    allow_idp_initiated: bool


def verify(shown: Shown, policy: Policy, request_id: str | None, now_ms: int) -> Assertion:
    """Who the provider says this is. Raises :class:`Refused` with the reason, which is for the log.

    ``request_id``: ID of our AuthnRequest that is open; ``None``: unsolicited, and then the response must not claim to
    answer anything and the provider must allow it. The caller remembers the assertion's id and consumes the request.
    """
    response = document.parse(shown.document)
    shape.check_response(response)
    check_status(response)
    if request_id is None and not policy.allow_idp_initiated:
        raise Refused("unsolicited, and the provider does not allow that")
    content = shape.the_assertion(response)
    is_vouched_for = shape.is_signed(response)
    if is_vouched_for:
        response = _verified(response, policy, now_ms)
        shape.check_response(response)
        content = shape.the_assertion(response)
    expected = Expected(policy.issuer, policy.audience, policy.acs, request_id, now_ms)
    check_envelope(response, expected, is_vouched_for)
    if content.tag == assertion("EncryptedAssertion"):
        content = _decrypted(content, policy)
    if shape.is_signed(content):
        content = _verified(content, policy, now_ms)
        shape.check_assertion(content)
        is_vouched_for = True
    if not is_vouched_for:
        raise Refused("nothing is signed")
    return read_assertion(content, expected)


def _verified(element: etree._Element, policy: Policy, now_ms: int) -> etree._Element:
    return signatures.verified(element, policy.certificates, now_ms, policy.accept_expired_certificates)


def _decrypted(encrypted: etree._Element, policy: Policy) -> etree._Element:
    """The assertion that was encrypted. That it has no good shape is told no differently than that it is unreadable."""
    content = decrypted(encrypted, policy.decryption_keys)
    try:
        shape.check_assertion(content)
    except Refused:
        raise Refused(UNREADABLE) from None
    return content
