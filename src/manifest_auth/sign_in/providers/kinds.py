"""Registry of all kinds of identity providers, a line each, and the discovery of the providers of an e-mail address."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from manifest_auth import providers, tenants
from manifest_auth.providers import KindSettings, Provider, ProviderOption
from manifest_auth.providers.settings import settings_of as stored_settings_of
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import dynamics, entra, oidc, saml
from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.store import SystemUnit
from manifest_auth.text.canonical import email_domain

# The registry: all kinds of identity providers, a line each.

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


# Home realm discovery: which providers an e-mail address can sign in with, the same for every address of a domain.
#
# Only the domain is read, so the answer does not reveal whether an account exists.


class WaysIn(NamedTuple):
    """``client``: identifier of the client, empty when none was named and no client owns the domain; ``password``:
    whether it allows passwords."""

    client: str
    password: bool
    providers: list[ProviderOption]


async def discover(ctx: RequestContext, email: str, client: str | None) -> WaysIn:
    """The providers that list the address's domain, of the client that has proved the domain. Where a client is named
    and has none, all of its providers: claims of other clients change nothing there."""
    domain = email_domain(email)
    return await ctx.services.store.read(lambda unit: _discover(unit, domain, client))


def _discover(unit: SystemUnit, domain: str, client: str | None) -> WaysIn:
    owning = [way for way in providers.find_by_domain(unit, domain) if KINDS[way.kind].start]
    if client is None:
        if not owning:
            return WaysIn("", True, [])
        client = owning[0].client
    tenant = tenants.find(unit, client)
    if tenant is None or tenant.suspended_at is not None:  # the same answer as for a client that does not exist
        return WaysIn(client, True, [])
    client, password = tenant.identifier, tenants.settings_of(tenant.settings).password_sign_in
    own = [way for way in owning if way.client == client]
    if not own:
        listed = [p for p in providers.list_all(unit.of(tenant.id)) if p.disabled_at is None and KINDS[p.kind].start]
        own = [ProviderOption(client, p.name, p.display_name, p.kind) for p in listed]
    return WaysIn(client, password, own)
