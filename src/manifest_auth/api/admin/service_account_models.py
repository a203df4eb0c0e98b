"""Wire models of service accounts and their secrets."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts.service_accounts.management import (
    DEFAULT_DAYS,
    DEFAULT_OVERLAP_H,
    MOST_DAYS,
    MOST_OVERLAP_H,
)
from manifest_auth.http import Items, Page, Time, Wire
from manifest_auth.permissions import Permission, Role
from manifest_auth.protocols.oauth.authentication import ALGORITHMS
from manifest_auth.text import fields
from manifest_auth.text.canonical import NETWORK, SLUG
from manifest_auth.text.json_schema import matching, one_of

Name = Annotated[
    str,
    Meta(
        min_length=2,
        max_length=63,
        description="Lower-case letters, digits, inner hyphens.",
        extra_json_schema=matching(SLUG),
    ),
]
Description = Annotated[str, fields.SERVICE_DESCRIPTION.meta, Meta(description="What it is for.")]
Roles = Annotated[
    list[Annotated[Role, Meta(extra_json_schema=one_of(*(role.value for role in Role if role is not Role.ADMIN)))]],
    Meta(min_length=1, max_length=7, description="Never `Admin`."),
]
Scopes = Annotated[
    list[Permission],
    Meta(min_length=1, max_length=50, description="Of what the roles allow, these alone; null: all of it."),
]
Addresses = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=matching(NETWORK))]],
    Meta(max_length=50, description="Networks that it may call from, like `192.0.2.0/24`; none: any."),
]
MayIntrospect = Annotated[bool, Meta(description="Whether it may ask what tokens of this client are good for.")]
_Text = Annotated[str, Meta(max_length=2000)]


class Jwk(msgspec.Struct, frozen=True):
    """A public key (RFC 7517) for ES256, PS256 or RS256."""

    kty: Annotated[str, Meta(description="`EC` or `RSA`.", extra_json_schema=one_of("EC", "RSA"))]
    kid: Annotated[str, Meta(min_length=1, max_length=200, description="By which assertions name the key.")]
    alg: Annotated[_Text, Meta(extra_json_schema=one_of(*ALGORITHMS))] | UnsetType = UNSET
    use: Annotated[_Text, Meta(extra_json_schema=one_of("sig"))] | UnsetType = UNSET
    crv: _Text | UnsetType = UNSET
    x: _Text | UnsetType = UNSET
    y: _Text | UnsetType = UNSET
    n: _Text | UnsetType = UNSET
    e: _Text | UnsetType = UNSET


class Jwks(msgspec.Struct, frozen=True):
    """A key set, with at most 5 keys."""

    keys: Annotated[list[Jwk], Meta(min_length=1, max_length=5)]


class ServiceAccountsQuery(Page, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC"], Meta(description="Order.")] = "ID"
    state: Annotated[Literal["", "active", "inactive"], Meta(description="Only those.")] = ""


class ServiceAccountBody(msgspec.Struct, frozen=True, rename="camel"):
    name: Name
    roles: Roles
    description: Description = ""
    scopes: Scopes | None = None
    addresses: Addresses = []
    may_introspect: MayIntrospect = False
    jwks: Jwks | None = None


class ServiceAccountChange(msgspec.Struct, frozen=True, rename="camel"):
    """Members that are left out stay; null takes `scopes` or `jwks` away."""

    name: Name | UnsetType = UNSET
    roles: Roles | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    scopes: Scopes | UnsetType | None = UNSET
    addresses: Addresses | UnsetType = UNSET
    may_introspect: MayIntrospect | UnsetType = UNSET
    jwks: Jwks | UnsetType | None = UNSET


class NewSecretBody(msgspec.Struct, frozen=True, rename="camel"):
    label: Annotated[str, fields.SECRET_LABEL.meta] = ""
    expires_in_days: Annotated[int, Meta(ge=1, le=MOST_DAYS, description="Every secret ends.")] = DEFAULT_DAYS


class RotateSecretBody(msgspec.Struct, frozen=True, rename="camel"):
    overlap_hours: Annotated[
        int, Meta(ge=0, le=MOST_OVERLAP_H, description="The old one is good for so many hours more.")
    ] = DEFAULT_OVERLAP_H


class LiveSecretData(Wire, frozen=True):
    """A live API key or client secret, without the secret. ``hint``: its last four characters; ``rotatedTo``: the id of
    the one that takes its place."""

    id: str
    label: str
    hint: str
    created_at: Time
    created_by: str
    expires_at: Time
    last_used_at: Time | None
    last_address: str
    rotated_to: str | None


class ServiceAccountData(Wire, frozen=True):
    """``oauthClientId``: its name at `/oauth2/token`; ``createdBy``: who made it, which changes nothing for it."""

    id: int
    oauth_client_id: str
    name: str
    description: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...] | None
    addresses: tuple[str, ...]
    may_introspect: bool
    jwks: Jwks | None
    created_by: str
    created_at: Time
    disabled_at: Time | None
    keys: tuple[LiveSecretData, ...]
    secrets: tuple[LiveSecretData, ...]


class ServiceAccountsData(Items[ServiceAccountData], frozen=True): ...


class NewApiKeyData(Wire, frozen=True):
    """``key``: shown here and never again."""

    id: str
    key: str
    expires_at: Time


class NewClientSecretData(Wire, frozen=True):
    """``secret``: shown here and never again."""

    id: str
    oauth_client_id: str
    secret: str
    expires_at: Time
