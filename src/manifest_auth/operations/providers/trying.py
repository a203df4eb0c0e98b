"""A manager starts to try a provider; see :mod:`manifest_auth.sign_in.providers.provider_tries`."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import accounts, providers, tenants
from manifest_auth.errors import Conflict, ProviderUnavailable, SsoFailed
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import TRY, FlowRequest
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import provider_tries
from manifest_auth.sign_in.providers.kind import SignInStart
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice
from manifest_auth.sign_in.providers.provider_tries import Tried
from manifest_auth.store import SystemUnit


class Started(NamedTuple):
    """``cross_site``: the browser returns with a form post of the provider's page."""

    start: SignInStart
    cross_site: bool


async def begin(ctx: RequestContext, name: str, return_to: str) -> Started | Tried:
    """Starts a try of the caller's session, which replaces its previous one; answers a result where it fails at once.
    ``return_to``: our page that shows the result. Raises NotFound, and Conflict where no one signs in at the
    provider."""
    user = ctx.user

    def look(unit: SystemUnit) -> ProviderChoice:
        provider = providers.get(unit.of(user.tenant_id), name)
        request = FlowRequest(return_to, response=TRY, link_session_id=user.session_id)
        return ProviderChoice(tenants.get(unit, user.tenant_id), provider, request)

    chosen = await ctx.services.store.read(look)
    kind = KINDS[chosen.provider.kind]
    if not kind.start:
        raise Conflict("No one signs in at this provider: apps send its tokens")
    provider = chosen.provider
    await ctx.store.write(lambda unit: sign_in_flows.delete_try(unit, provider.id, user.session_id))
    try:
        return Started(await kind.begin(ctx, chosen, user.email), kind.cross_site)
    except (SsoFailed, ProviderUnavailable) as refusal:
        failed = provider_tries.refused(ctx, refusal, is_admin=accounts.is_admin(ctx))
        await ctx.store.write(lambda unit: provider_tries.record(unit, ctx, provider, failed))
        return failed


async def result(ctx: RequestContext, provider: Provider) -> Tried | None:
    """The result of the last try of the provider by the caller's session."""
    return await ctx.store.read(lambda unit: provider_tries.result_of(unit, ctx, provider, ctx.user.session_id))
