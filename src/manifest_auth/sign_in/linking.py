"""A signed-in user links another identity: which providers offer it, and how it begins.

It begins with a request that changes something, which the cross-site rule guards, and not with an address that anyone
could send someone to: who follows such an address would give another person the key to the own account.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import providers, tenants
from manifest_auth.audit import Act
from manifest_auth.errors import Conflict, SsoFailed
from manifest_auth.providers import Provider
from manifest_auth.providers.sign_in_flows import FlowRequest, StartedFlow
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice, return_address
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _


class Started(NamedTuple):
    """``address``: where the browser goes on; ``cross_site``: it comes back by a form of the provider's page."""

    address: str
    begun: StartedFlow
    cross_site: bool


def offered(unit: TenantUnit) -> list[Provider]:
    """The client's providers at which users sign in."""
    return [one for one in providers.list_all(unit) if one.disabled_at is None and KINDS[one.kind].start]


async def begin(ctx: RequestContext, name: str, return_to: str) -> Started:
    """For the caller's session. Raises NotFound, SsoFailed, Conflict, ProviderUnavailable,
    ReauthenticationRequired, and ValidationError for an address that is not listed."""
    step_up.check(ctx, Act.IDENTITIES)
    user = ctx.user

    def work(unit: SystemUnit) -> ProviderChoice:
        provider = providers.get(unit.of(user.tenant_id), name)
        if provider.disabled_at is not None:
            raise SsoFailed(_("This way to sign in is switched off"), reason="provider is switched off")
        tenant = tenants.get(unit, user.tenant_id)
        address = return_address(tenant, provider, return_to, roles=user.roles)
        return ProviderChoice(tenant, provider, FlowRequest(address, link_session_id=user.session_id))

    chosen = await ctx.services.store.read(work)
    kind = KINDS[chosen.provider.kind]
    if not kind.start:
        raise Conflict(_("This provider has no sign-in page"))
    beginning = await kind.begin(ctx, chosen, "")
    return Started(beginning.address, beginning.begun, kind.cross_site)
