"""Verifies a response, in a fixed order.

Structure of the document; signature of the response, after which only its verified bytes are used; status and
addresses; decryption; signature of the assertion, after which only its verified bytes are used; conditions. One
signature is sufficient; if there are two, both must be valid. Content of an unsigned envelope can only lead to a
refusal.
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
from manifest_auth.protocols.saml.reading import UnverifiedResponse


class Policy(NamedTuple):
    """What is pinned for one provider.

    ``issuer``: its entity id. ``audience``: our entity id for this tenant. ``acs``: our assertion consumer address.
    ``certificates``: DER; any of them may sign. ``decryption_keys``: private keys in PEM, newest first.
    """

    issuer: str
    audience: str
    acs: str
    certificates: tuple[bytes, ...]
    accept_expired_certificates: bool
    decryption_keys: tuple[bytes, ...]
    allow_idp_initiated: bool


def verify(unverified: UnverifiedResponse, policy: Policy, request_id: str | None, now_ms: int) -> Assertion:
    """The verified assertion of a response. Raises :class:`Refused` with the reason, which is for the log.

    ``request_id``: ID of our open AuthnRequest; None: unsolicited, which the provider must allow, and the response must
    not answer any request. The caller remembers the assertion's id and deletes the request.
    """
    response = document.parse(unverified.document)
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
    """The decrypted assertion. A wrong structure has the same reason as an unreadable one."""
    content = decrypted(encrypted, policy.decryption_keys)
    try:
        shape.check_assertion(content)
    except Refused:
        raise Refused(UNREADABLE) from None
    return content
