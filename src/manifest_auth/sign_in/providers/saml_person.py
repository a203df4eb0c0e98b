"""The person of a SAML assertion: which attributes tell subject, address, names and groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from manifest_auth.errors import SsoFailed
from manifest_auth.sign_in.providers.account_matching import Person, Proof
from manifest_auth.sign_in.providers.saml_settings import SamlSettings

if TYPE_CHECKING:
    from manifest_auth.protocols.saml import Assertion

_EMAIL = (
    "email", "Email", "mail", "emailAddress", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "urn:oid:0.9.2342.19200300.100.1.3", "urn:oid:1.2.840.113549.1.9.1",
)  # fmt: skip
_FIRST = (
    "firstName", "FirstName", "first_name", "givenName", "given_name", "urn:oid:2.5.4.42",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
)  # fmt: skip
_LAST = (
    "lastName", "LastName", "last_name", "sn", "surname", "family_name", "urn:oid:2.5.4.4",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
)  # fmt: skip
_GROUPS = (
    "groups", "Groups", "group", "memberOf", "roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.xmlsoap.org/claims/Group",
)  # fmt: skip
_TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


def person_of(assertion: Assertion, settings: SamlSettings) -> Person:
    """The person of a verified assertion. Raises SsoFailed when it names nobody for good."""
    given, names = assertion.attributes, settings.attributes
    subject = assertion.name_id
    if names.subject:
        subject = _first(given, (names.subject,))
    elif assertion.name_id_format == _TRANSIENT:
        raise SsoFailed(reason="NameID is transient, and no attribute is set to identify the person by")
    if not subject:
        raise SsoFailed(reason="the assertion names no subject")
    email = _first(given, (names.email,) if names.email else _EMAIL)
    if not email and not names.email and "@" in assertion.name_id:
        email = assertion.name_id
    return Person(
        subject=subject,
        email=email or None,
        vouched=True,  # the provider is the domain's owner or it is not: that is asked where it counts
        first_name=_first(given, (names.first_name,) if names.first_name else _FIRST),
        last_name=_first(given, (names.last_name,) if names.last_name else _LAST),
        groups=_all(given, (names.groups,) if names.groups else _GROUPS),
        told=given,
        proof=Proof((), assertion.authn_context or "", assertion.authn_instant or ""),
    )


def _all(given: dict[str, tuple[str, ...]], names: Iterable[str]) -> tuple[str, ...]:
    return next((given[name] for name in names if name in given), ())


def _first(given: dict[str, tuple[str, ...]], names: Iterable[str]) -> str:
    return next((value for name in names for value in given.get(name, ()) if value), "")
