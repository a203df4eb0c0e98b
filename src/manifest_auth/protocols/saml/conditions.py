"""Conditions that a verified assertion must meet, and its content (SAML profiles 4.1.4.3)."""

from __future__ import annotations

from typing import NamedTuple

from lxml import etree

from manifest_auth.protocols.saml import times
from manifest_auth.protocols.saml.attributes import read_attributes
from manifest_auth.protocols.saml.document import text_of
from manifest_auth.protocols.saml.envelope import (
    Expected,
    check_answers,
    check_issuer,
    check_version_and_time,
)
from manifest_auth.protocols.saml.errors import Refused, quoted
from manifest_auth.protocols.saml.names import ASSERTION, BEARER, assertion
from manifest_auth.protocols.saml.shape import only_child

_LONGEST_NAME_ID = 1024
#: Conditions without an effect here: assertion ids are always remembered, and this server issues no assertions.
_HARMLESS = (assertion("OneTimeUse"), assertion("ProxyRestriction"))


class Assertion(NamedTuple):
    """The content of a verified assertion. ``name_id`` is empty when there is none (ADFS sends none by default),
    ``name_id_format`` when it has none.

    ``attributes``: by Name, and by FriendlyName where no attribute has that Name. ``remember_until``: how long ``id``
    must be remembered, milliseconds, so that an assertion is not used twice.
    """

    id: str
    name_id: str
    name_id_format: str
    attributes: dict[str, tuple[str, ...]]
    session_index: str | None
    authn_instant: str | None
    authn_context: str | None
    remember_until: int


def read_assertion(element: etree._Element, expected: Expected) -> Assertion:
    """Reads an assertion that was verified, from the verified bytes. Raises :class:`Refused`."""
    check_version_and_time(element, expected.now_ms)
    check_issuer(element, expected.issuer)
    subject = only_child(element, assertion("Subject"))
    ends = _check_conditions(only_child(element, assertion("Conditions")), expected)
    ends.append(_check_confirmations(subject, expected))
    session_index, authn_instant, authn_context = _read_sessions(element, expected.now_ms)
    name_id, name_id_format = _read_name_id(subject)
    return Assertion(
        id=element.get("ID", ""),
        name_id=name_id,
        name_id_format=name_id_format,
        attributes=read_attributes(element),
        session_index=session_index,
        authn_instant=authn_instant,
        authn_context=authn_context,
        remember_until=max(ends) + times.SKEW_MS,
    )


def _check_conditions(conditions: etree._Element, expected: Expected) -> list[int]:
    """Checks times and audiences. Every AudienceRestriction must contain our entity id. The end of validity, if any.

    An unknown condition makes the assertion invalid (SAML core 2.5.1.1).
    """
    _check_window(conditions, expected.now_ms)
    restrictions = 0
    for condition in conditions:
        if condition.tag == assertion("AudienceRestriction"):
            restrictions += 1
            audiences = [text_of(one).strip() for one in condition.findall(assertion("Audience"))]
            if expected.audience not in audiences:
                raise Refused(f"Audience is {quoted(', '.join(audiences))}")
        elif condition.tag not in _HARMLESS:
            raise Refused(f"unknown condition {quoted(str(condition.tag))}")
    if not restrictions:
        raise Refused("no AudienceRestriction")
    end = conditions.get("NotOnOrAfter")
    return [] if end is None else [times.read_time(end)]


def _check_confirmations(subject: etree._Element, expected: Expected) -> int:
    """One valid bearer confirmation is sufficient. The latest end of the valid ones."""
    ends, reasons = [], []
    for confirmation in subject.findall(assertion("SubjectConfirmation")):
        for data in confirmation.iter(f"{{{ASSERTION}}}SubjectConfirmationData"):
            if expected.request_id is None:
                check_answers(data, None)
        try:
            ends.append(_check_confirmation(confirmation, expected))
        except Refused as reason:
            reasons.append(str(reason))
    if not ends:
        raise Refused(f"no bearer confirmation fits: {'; '.join(reasons[:4]) or 'there is none'}")
    return max(ends)


def _check_confirmation(confirmation: etree._Element, expected: Expected) -> int:
    """Checks recipient, end and InResponseTo of a bearer confirmation (SAML profiles 4.1.4.2).

    NotBefore is not allowed; if a provider sends it, it is checked rather than refused.
    """
    if confirmation.get("Method") != BEARER:
        raise Refused(f"Method is {quoted(confirmation.get('Method'))}")
    data = only_child(confirmation, assertion("SubjectConfirmationData"))
    if data.get("Recipient") != expected.acs:
        raise Refused(f"Recipient is {quoted(data.get('Recipient'))}")
    check_answers(data, expected.request_id)
    _check_window(data, expected.now_ms)
    return times.read_time(data.get("NotOnOrAfter", ""))


def _check_window(element: etree._Element, now_ms: int) -> None:
    since, until = element.get("NotBefore"), element.get("NotOnOrAfter")
    if since is not None and times.is_future(since, now_ms):
        raise Refused(f"not valid before {quoted(since)}")
    if until is not None and times.is_past(until, now_ms):
        raise Refused(f"expired at {quoted(until)}")


def _read_name_id(subject: etree._Element) -> tuple[str, str]:
    """Text and format of the NameID; both empty for a subject without one, which is legal (SAML core 2.4.1).

    A name of another kind, for instance an encrypted one, is refused, not ignored.
    """
    if not any(subject.find(assertion(kind)) is not None for kind in ("NameID", "BaseID", "EncryptedID")):
        return "", ""
    name_id = only_child(subject, assertion("NameID"))
    text = text_of(name_id).strip()
    if not 0 < len(text) <= _LONGEST_NAME_ID:
        raise Refused("NameID is empty or too long")
    return text, name_id.get("Format", "")


def _read_sessions(element: etree._Element, now_ms: int) -> tuple[str | None, str | None, str | None]:
    """SessionIndex, AuthnInstant and context class of the first AuthnStatement. Raises :class:`Refused` without one, or
    when a session ended."""
    statements = element.findall(assertion("AuthnStatement"))
    if not statements:
        raise Refused("no AuthnStatement")
    for statement in statements:
        until = statement.get("SessionNotOnOrAfter")
        if until is not None and times.is_past(until, now_ms):
            raise Refused(f"the session at the provider ended at {quoted(until)}")
        if times.is_future(statement.get("AuthnInstant", ""), now_ms):
            raise Refused(f"authenticated in the future: {quoted(statement.get('AuthnInstant'))}")
    first = statements[0]
    contexts = [text_of(one).strip() for one in first.iter(assertion("AuthnContextClassRef"))]
    return first.get("SessionIndex"), first.get("AuthnInstant"), next(iter(contexts), None)
