"""Acts on users of the caller's client that end with something to send or to show: one-time links, e-mails.

Each is one act of ``accounts`` in one transaction; what goes out does so after the commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from manifest_auth import accounts, tenants
from manifest_auth.accounts import Draft, FactorReset, NewLink, UserWithAccessLink
from manifest_auth.accounts.one_time_links import DeliveredLink
from manifest_auth.accounts.users import User
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit


class Entered(NamedTuple):
    """``link``: with which a new Admin comes in, to whose account no way in is left; None where it was mailed, or none
    is needed."""

    user: User
    link: str | None


async def invite(ctx: RequestContext, draft: Draft) -> DeliveredLink:
    """Makes a user and a link to come in for the first time. Raises Forbidden, ValidationError, Conflict."""
    tools = ctx.services.account_tools

    def work(unit: TenantUnit) -> NewLink:
        return accounts.invite(unit, ctx, tools, accounts.add(unit, ctx, tools, draft).id)

    return await _deliver(ctx, await ctx.store.write(work))


async def renew_invitation(ctx: RequestContext, user_id: int) -> DeliveredLink:
    """As :func:`accounts.invite`."""
    tools = ctx.services.account_tools
    return await _deliver(ctx, await ctx.store.write(lambda unit: accounts.invite(unit, ctx, tools, user_id)))


async def start_reset(ctx: RequestContext, user_id: int) -> DeliveredLink:
    """As :func:`accounts.start_reset`, by the rules of the caller's client."""
    tools, by_password = ctx.services.account_tools, tenants.settings_of(ctx.user.tenant_settings).password_sign_in
    return await _deliver(
        ctx,
        await ctx.store.write(lambda unit: accounts.start_reset(unit, ctx, tools, user_id, by_password=by_password)),
    )


async def change(ctx: RequestContext, user_id: int, given: Mapping[str, str]) -> User:
    """As :func:`accounts.change`."""
    tools = ctx.services.account_tools
    return await ctx.store.write(lambda unit: accounts.change(unit, ctx, tools, user_id, given))


async def set_roles(ctx: RequestContext, user_id: int, roles: int) -> Entered:
    """As :func:`accounts.set_roles`. ``roles``: a mask."""
    tools = ctx.services.account_tools
    return await _entered(ctx, await ctx.store.write(lambda unit: accounts.set_roles(unit, ctx, tools, user_id, roles)))


async def restore(ctx: RequestContext, user_id: int) -> Entered:
    """As :func:`accounts.restore`."""
    tools = ctx.services.account_tools
    return await _entered(ctx, await ctx.store.write(lambda unit: accounts.restore(unit, ctx, tools, user_id)))


async def reset_factors(ctx: RequestContext, user_id: int, reason: str) -> FactorReset:
    """As :func:`accounts.reset_factors`."""
    tools = ctx.services.account_tools
    return await ctx.store.write(lambda unit: accounts.reset_factors(unit, ctx, tools, user_id, reason))


async def _entered(ctx: RequestContext, admitted: UserWithAccessLink) -> Entered:
    link = None if admitted.new_link is None else (await _deliver(ctx, admitted.new_link)).link
    return Entered(admitted.user, link)


async def _deliver(ctx: RequestContext, new_link: NewLink) -> DeliveredLink:
    return await accounts.deliver_link(ctx, ctx.services.account_tools, new_link)
