"""From what Microsoft says of somebody to a person: (tid, oid), never an address (security bar, part 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manifest_auth.errors import SsoFailed
from manifest_auth.protocols.microsoft import GUID, Accepted, Cloud, Profile
from manifest_auth.providers import DynamicsSettings, EntraSettings
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import account_matching
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.text.canonical import EMAIL_SHAPE, email_key

KINDS = ("dynamics", "entra")


def cloud_of(ctx: RequestContext, settings: DynamicsSettings | EntraSettings) -> Cloud:
    """The cloud of a provider. Raises SsoFailed when the installation does not have it any more."""
    try:
        return ctx.services.microsoft.clouds.get(settings.cloud)
    except ValueError as error:
        raise SsoFailed(reason=str(error)) from error


def accepted_by(ctx: RequestContext, settings: EntraSettings) -> Accepted:
    """What a provider's settings accept. Raises SsoFailed as :func:`cloud_of`."""
    audiences = {settings.client_id, settings.app_id_uri} | (
        {f"api://{settings.client_id}"} if settings.client_id else set()
    )
    return Accepted(
        directory=settings.directory,
        cloud=cloud_of(ctx, settings),
        applications=frozenset(settings.applications),
        audiences=frozenset(audiences - {""}),
        scopes=frozenset(settings.scopes),
        graph_tokens=settings.graph_tokens,
        guests=settings.guests,
    )


def subject_of(directory: str, person: str) -> str:
    """The subject of an identity: the same at every provider of the client that is this directory's."""
    return f"{directory}:{person}"


def person_of(
    claims: Mapping[str, Any], settings: DynamicsSettings | EntraSettings, profile: Profile | None = None
) -> Person:
    """The person of claims that are known to be genuine. Raises SsoFailed when they name none.

    ``email`` and the rest are for people to read, and for an account that is made. They link an account only where
    Entra says that the domain's owner is verified (``xms_edov``, which is about the claim ``email`` and no other), or
    the client said that its directory can be trusted.
    """
    person = claims.get("oid")
    if not isinstance(person, str) or not GUID.match(person.lower()):
        raise SsoFailed(reason="oid: missing; the app registration must ask for the scope profile")
    email, told = _email(claims, profile), claims.get("email")
    is_told = email is not None and isinstance(told, str) and email_key(told) == email_key(email)
    verified = is_told and claims.get("xms_edov") in (True, 1, "1", "true")
    names = (
        [profile.first_name, profile.last_name]
        if profile
        else [_text(claims, "given_name"), _text(claims, "family_name")]
    )
    if not any(names):
        first, _, last = _text(claims, "name").partition(" ")
        names = [first, last]
    return Person(
        subject=subject_of(settings.directory, person.lower()),
        email=email,
        vouched=True if verified or settings.trust_email else None,
        first_name=names[0],
        last_name=names[1],
        told=tuple(claims),
        groups=account_matching.groups_of(claims, settings.group_claim),
        directory=settings.directory,
    )


def _email(claims: Mapping[str, Any], profile: Profile | None) -> str | None:
    found = [profile.email if profile else None]
    found += [claims.get(name) for name in ("email", "preferred_username", "upn", "unique_name")]
    return next((text for text in found if isinstance(text, str) and EMAIL_SHAPE.match(text)), None)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
