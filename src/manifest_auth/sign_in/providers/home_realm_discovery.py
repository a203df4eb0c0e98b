"""Home realm discovery: which providers an e-mail address can sign in with, the same for every address of a domain.

Only the domain is read, so the answer does not reveal whether an account exists.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import providers, tenants
from manifest_auth.providers import ProviderOption
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.store import SystemUnit
from manifest_auth.text.canonical import email_domain


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
