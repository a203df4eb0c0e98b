"""Wire models of providers. A body may leave any member out: what is left out stays as it is, or gets its default."""

from __future__ import annotations

from typing import Annotated, Any, Union, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.providers import (
    Attributes,
    DynamicsSettings,
    EntraSettings,
    OidcSettings,
    SamlSettings,
    Settings,
)

Name = Annotated[str, Meta(min_length=1, max_length=63, description="In addresses; unique within the client.")]
DisplayName = Annotated[str, Meta(max_length=200)]
_SECRET = Annotated[str, Meta(max_length=2000, description="Kept encrypted, never shown; `null` takes it away.")] | None
_VOUCH = Annotated[
    bool, Meta(description="System admins only: the domains count without proof, on the operator's word.")
]
_METADATA = Annotated[
    str, Meta(max_length=512 * 1024, description="The provider's metadata document (XML); members beside it win.")
]


def _optional(model: type[msgspec.Struct], name: str, **others: Any) -> type[msgspec.Struct]:
    """The model with every member optional; ``others`` replace or add members."""
    members = {field: get_type_hints(model, include_extras=True)[field] for field in model.__struct_fields__} | others
    fields = [(field, Union[kind, UnsetType], UNSET) for field, kind in members.items()]  # noqa: UP007 - kinds are values
    return msgspec.defstruct(name, fields, rename="camel", frozen=True, kw_only=True, module=__name__)


AttributesChange = _optional(Attributes, "AttributesChange")
OidcChange = _optional(OidcSettings, "OidcChange", client_secret=_SECRET)
SamlChange = _optional(SamlSettings, "SamlChange", attributes=AttributesChange, metadata=_METADATA)
DynamicsChange = _optional(DynamicsSettings, "DynamicsChange", client_secret=_SECRET)
EntraChange = _optional(EntraSettings, "EntraChange", client_secret=_SECRET)
ProviderChange = _optional(
    Settings,
    "ProviderChange",
    display_name=DisplayName,
    vouch=_VOUCH,
    oidc=OidcChange,
    saml=SamlChange,
    dynamics=DynamicsChange,
    entra=EntraChange,
)
ProviderBody = msgspec.defstruct(
    "ProviderBody", [("name", Name)], bases=(ProviderChange,), rename="camel", frozen=True, kw_only=True,
    module=__name__,
)  # fmt: skip


class CertificateData(msgspec.Struct, frozen=True, rename="camel"):
    """A pinned certificate, for people to read."""

    subject: str
    not_before: str
    not_after: str
    fingerprint: str


class OurselvesData(msgspec.Struct, frozen=True, rename="camel"):
    """What to type in at the provider."""

    callback_url: str | UnsetType = UNSET
    shared_callback_url: (
        Annotated[
            str, Meta(description="In place of `callbackUrl` while the provider, being marked for it, announces `iss`.")
        ]
        | UnsetType
    ) = UNSET
    entity_id: str | UnsetType = UNSET
    acs_url: str | UnsetType = UNSET
    metadata_url: str | UnsetType = UNSET
    certificates: tuple[str, ...] | UnsetType = UNSET


class ProviderData(Settings, frozen=True, rename="camel", kw_only=True):
    """A provider as it is."""

    id: int
    name: str
    display_name: str
    kind_of: str = msgspec.field(name="kind")
    enabled: bool
    reaches_admins: bool
    has_client_secret: bool
    signing_certificates: tuple[CertificateData, ...]
    service_provider: OurselvesData
    start_url: str | UnsetType = UNSET
    created_at: str
    changed_at: str


class ProvidersData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[ProviderData, ...]
    next_cursor: str | None


class FindingData(msgspec.Struct, frozen=True):
    """``level``: ``ok``, ``note`` or ``bad``."""

    level: str
    text: str


class ExaminedData(msgspec.Struct, frozen=True):
    works: bool
    findings: tuple[FindingData, ...]
