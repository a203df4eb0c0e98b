"""A manager begins to try a provider out; what comes back is in :mod:`manifest_auth.sign_in.providers.tries`."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import accounts, providers, tenants
from manifest_auth.errors import Conflict, ProviderUnavailable, SsoFailed
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import TRY, Wish
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import tries
from manifest_auth.sign_in.providers.flow import Chosen
from manifest_auth.sign_in.providers.kind import Beginning
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.tries import Tried
from manifest_auth.store import SystemUnit


class Started(NamedTuple):
    """``cross_site``: the browser comes back by a form of the provider's page."""

    beginning: Beginning
    cross_site: bool


async def begin(ctx: RequestContext, name: str, return_to: str) -> Started | Tried:
    """For the caller's session, in place of its try before; :class:`.Tried` where it fails at once. ``return_to``: the
    page of ours that shows what was found. Raises NotFound, and Conflict where no one signs in at the provider."""
    user = ctx.user

    def look(unit: SystemUnit) -> Chosen:
        provider = providers.get(unit.of(user.tenant_id), name)
        wish = Wish(return_to, response=TRY, link_session_id=user.session_id)
        return Chosen(tenants.get(unit, user.tenant_id), provider, wish)

    chosen = await ctx.services.store.read(look)
    kind = KINDS[chosen.provider.kind]
    if not kind.start:
        raise Conflict("No one signs in at this provider: apps bring its tokens along")
    provider_id = chosen.provider.id
    await ctx.store.write(lambda unit: sign_in_flows.forget_try(unit, provider_id, user.session_id))
    try:
        return Started(await kind.begin(ctx, chosen, user.email), kind.cross_site)
    except (SsoFailed, ProviderUnavailable) as refusal:
        return tries.refused(ctx, refusal, is_admin=accounts.is_admin(ctx))


async def found(ctx: RequestContext, provider: Provider) -> Tried | None:
    """What the caller's session found at its last try of the provider."""
    return await ctx.store.read(lambda unit: tries.found_by(unit, ctx, provider, ctx.user.session_id))
