"""Checks of the SAML Response around the assertion (SAML profiles 4.1.4.3).

Checked are status, destination, issuer, time and InResponseTo.
"""

from __future__ import annotations

from typing import NamedTuple

from lxml import etree

from manifest_auth.protocols.saml import times
from manifest_auth.protocols.saml.document import text_of
from manifest_auth.protocols.saml.errors import Refused, quoted
from manifest_auth.protocols.saml.names import ENTITY_FORMAT, SUCCESS, assertion, protocol
from manifest_auth.protocols.saml.shape import only_child


class Expected(NamedTuple):
    """Values that a response must have. ``request_id``: of the AuthnRequest; None for an unsolicited response."""

    issuer: str
    audience: str
    acs: str
    request_id: str | None
    now_ms: int


def check_status(response: etree._Element) -> None:
    """Checks for success. The reason of a refusal contains the provider's codes and message."""
    status = only_child(response, protocol("Status"))
    code = only_child(status, protocol("StatusCode"))
    if code.get("Value") == SUCCESS:
        return
    codes = [one.get("Value", "").rpartition(":")[2] for one in status.iter(protocol("StatusCode"))][:4]
    messages = [text_of(one) for one in status.findall(protocol("StatusMessage"))][:1]
    said = f", {quoted(messages[0].strip())}" if messages else ""
    raise Refused(f"the provider answered {quoted(' / '.join(codes))}{said}")


def check_envelope(response: etree._Element, expected: Expected, is_signed: bool) -> None:
    """Checks version, time, destination, issuer and InResponseTo of the Response. Raises :class:`Refused`.

    A signed message must name its destination (SAML bindings 3.5.5.2). An unsigned one may leave it out: the Recipient
    of the confirmation is always required and always signed.
    """
    check_version_and_time(response, expected.now_ms)
    destination = response.get("Destination")
    if destination != expected.acs and (is_signed or destination is not None):
        raise Refused(f"Destination is {quoted(destination)}")
    if response.find(assertion("Issuer")) is not None:
        check_issuer(response, expected.issuer)
    check_answers(response, expected.request_id)


def check_version_and_time(element: etree._Element, now_ms: int) -> None:
    """Checks version 2.0 and that IssueInstant is not in the future, of a Response or an Assertion."""
    if element.get("Version") != "2.0":
        raise Refused(f"Version is {quoted(element.get('Version'))}")
    if times.is_future(element.get("IssueInstant", ""), now_ms):
        raise Refused(f"issued in the future: {quoted(element.get('IssueInstant'))}")


def check_issuer(element: etree._Element, issuer: str) -> None:
    """Checks that the Issuer is exactly the provider's entity id, with the Format of entities (SAML profiles
    4.1.4.2)."""
    found = only_child(element, assertion("Issuer"))
    if found.get("Format", ENTITY_FORMAT) != ENTITY_FORMAT or text_of(found).strip() != issuer:
        raise Refused(f"Issuer is {quoted(text_of(found))}")


def check_answers(element: etree._Element, request_id: str | None) -> None:
    """Checks that InResponseTo is the open request, or absent without one: a captured answer must not pass as
    unsolicited."""
    if element.get("InResponseTo") != request_id:
        raise Refused(f"InResponseTo is {quoted(element.get('InResponseTo'))}, not {quoted(request_id)}")
