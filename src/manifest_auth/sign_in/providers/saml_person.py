"""The person of a SAML assertion: which attributes hold subject, e-mail address, names and groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from manifest_auth.errors import SsoFailed
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.sign_in.providers.proof import Proof
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
    """The person of a verified assertion. Raises SsoFailed when it has no permanent subject."""
    attributes, names = assertion.attributes, settings.attributes
    subject = assertion.name_id
    if names.subject:
        subject = _first(attributes, (names.subject,))
    elif assertion.name_id_format == _TRANSIENT:
        raise SsoFailed(reason="NameID is transient, and no attribute is set to identify the person by")
    if not subject:
        raise SsoFailed(reason="the assertion names no subject")
    email = _first(attributes, (names.email,) if names.email else _EMAIL)
    if not email and not names.email and "@" in assertion.name_id:
        email = assertion.name_id
    return Person(
        subject=subject,
        email=email or None,
        email_verified=True,  # account_matching checks whether the provider may vouch for the domain
        first_name=_first(attributes, (names.first_name,) if names.first_name else _FIRST),
        last_name=_first(attributes, (names.last_name,) if names.last_name else _LAST),
        groups=_all(attributes, (names.groups,) if names.groups else _GROUPS),
        claims=attributes,
        proof=Proof((), assertion.authn_context or "", assertion.authn_instant or "", _time(assertion.authn_instant)),
    )


def _time(instant: str | None) -> int | None:
    from manifest_auth.protocols import saml

    return saml.read_time(instant) if instant else None


def _all(attributes: dict[str, tuple[str, ...]], names: Iterable[str]) -> tuple[str, ...]:
    return next((attributes[name] for name in names if name in attributes), ())


def _first(attributes: dict[str, tuple[str, ...]], names: Iterable[str]) -> str:
    return next((value for name in names for value in attributes.get(name, ()) if value), "")
