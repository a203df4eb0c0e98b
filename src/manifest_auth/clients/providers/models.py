"""Wire models of providers.

Members that a body leaves out stay as they are, or get their default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import providers
from manifest_auth.providers import Provider
from manifest_auth.providers.settings import PROVIDER_NAME
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import kinds
from manifest_auth.sign_in.providers.kind import CertificateData, OurselvesData, optional
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.json_schema import at_most_one, exactly_one, matching

if TYPE_CHECKING:
    KindName = str
else:
    KindName = Literal["", *KINDS]

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        description="In addresses; unique within the client.",
        extra_json_schema=matching(PROVIDER_NAME),
    ),
]
DisplayName = Annotated[str, fields.DISPLAY_NAME.meta]
_VOUCH = Annotated[
    bool, Meta(description="System admins only: the operator vouches for the domains, which count without proof.")
]
_ENABLED = Annotated[bool, Meta(description="`false`: it is made switched off, and lets no one in yet.")]

ProviderChange = optional(
    kinds.Settings,
    "ProviderChange",
    display_name=DisplayName,
    vouch=_VOUCH,
    **{kind.name: kind.body() for kind in KINDS.values()},
)
ProviderChange.MORE_SCHEMA = at_most_one(*KINDS)  # type: ignore[attr-defined]  # read by the description
ProviderBody = msgspec.defstruct(
    "ProviderBody",
    [("name", Name), ("enabled", _ENABLED, True)],
    bases=(ProviderChange,),
    rename="camel",
    frozen=True,
    kw_only=True,
    module=__name__,
    namespace={"MORE_SCHEMA": exactly_one(*KINDS)},
)
_SETTINGS = [(field.name, field.type, field.default) for field in msgspec.structs.fields(kinds.Settings)]
ProviderData = msgspec.defstruct(
    "ProviderData",
    [
        ("id", int),
        ("name", str),
        ("display_name", str),
        ("kind_of", str, msgspec.field(name="kind")),
        ("enabled", bool),
        ("reaches_admins", bool),
        *_SETTINGS,
        ("has_client_secret", bool),
        ("signing_certificates", tuple[CertificateData, ...]),
        ("service_provider", OurselvesData),
        ("start_url", str | UnsetType, UNSET),
        ("created_at", str),
        ("changed_at", str),
    ],
    namespace={"__doc__": "A provider as it is."},
    rename="camel",
    frozen=True,
    kw_only=True,
    module=__name__,
)


class FindingData(msgspec.Struct, frozen=True):
    """``level``: ``ok``, ``note``, ``unknown`` (a test cannot tell) or ``bad``."""

    level: str
    text: str


class ExaminedData(msgspec.Struct, frozen=True):
    """``works``: whether people can sign in; null where a test cannot tell, so try a sign-in."""

    works: bool | None
    findings: tuple[FindingData, ...]


def provider_data(ctx: RequestContext, client: str, provider: Provider) -> msgspec.Struct:
    """The provider as :data:`ProviderData`, without secrets. ``client``: identifier of the provider's client."""
    kind, settings = KINDS[provider.kind], kinds.settings_of(provider)
    secrets = providers.open_secrets(ctx.services.sealer, provider)
    return ProviderData(
        id=provider.id,
        name=provider.name,
        display_name=provider.display_name,
        kind_of=provider.kind,
        enabled=provider.disabled_at is None,
        reaches_admins=bool(provider.reaches_admins),
        **msgspec.structs.asdict(settings),
        has_client_secret=secrets.client_secret is not None,
        signing_certificates=kind.certificates(settings.own),
        service_provider=kind.registration_values(ctx, client, provider, secrets),
        start_url=kinds.start_address(ctx, client, provider.kind, provider.name) or UNSET,
        created_at=when(provider.created_at),
        changed_at=when(provider.changed_at),
    )
