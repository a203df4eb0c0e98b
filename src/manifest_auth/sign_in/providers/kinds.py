"""The registry: all kinds of identity providers, a line each."""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import providers
from manifest_auth.providers import KindSettings, Provider
from manifest_auth.providers.settings import settings_of as stored_settings_of
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import dynamics, entra, oidc, saml
from manifest_auth.sign_in.providers.kind import Kind

KINDS: dict[str, Kind[Any, Any]] = {
    kind.name: kind
    for kind in (
        oidc.KIND,
        saml.KIND,
        dynamics.KIND,
        entra.KIND,
    )
}

#: A provider's settings, with a member for each kind, as stored and as on the wire.
Settings: type[providers.Settings] = msgspec.defstruct(  # type: ignore[assignment]  # made of all kinds
    "Settings",
    [(kind.name, kind.settings | None, None) for kind in KINDS.values()],
    bases=(providers.Settings,),
    rename="camel",
    frozen=True,
    module=__name__,
)


def settings_of(provider: Provider) -> providers.Settings:
    """All settings of a provider."""
    return stored_settings_of(provider.settings, Settings)


def own_settings_of(provider: Provider) -> KindSettings:
    """The settings of the provider's kind."""
    return settings_of(provider).own


def start_address(ctx: RequestContext, client: str, kind: str, provider: str) -> str | None:
    """The address that starts a sign-in at a provider; None for kinds without one."""
    path = KINDS[kind].start
    return f"{ctx.services.settings.public_url.rstrip('/')}{path}?client={client}&provider={provider}" if path else None
