"""A signed-in user's own badge and PIN: what there is, and a new PIN."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import tenants
from manifest_auth.accounts import badges, pins, users
from manifest_auth.accounts.badges import BADGE_ROLES, Badge
from manifest_auth.accounts.pins import Pin
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit


class OwnBadge(NamedTuple):
    """``is_on``: the client lets people sign in so; ``has_role``: the caller has a role for it; ``least``: digits of a
    PIN."""

    badges: list[Badge]
    pin: Pin | None
    is_on: bool
    has_role: bool
    least: int


async def look(ctx: RequestContext) -> OwnBadge:
    """The caller's live badges and the PIN."""
    rules = tenants.settings_of(ctx.user.tenant_settings).badge

    def work(unit: TenantUnit) -> OwnBadge:
        me = users.get(unit, ctx.user.user_id)
        live = badges.list_live(unit, me.id, ctx.now)
        return OwnBadge(live, pins.find(unit, me.id), rules.enabled, bool(me.roles & BADGE_ROLES), rules.pin_length)

    return await ctx.store.read(work)


async def set_pin(ctx: RequestContext, pin: str) -> None:
    """Sets the caller's PIN, which ends the caller's sessions by badge. Raises ValidationError, Conflict where the
    client or the caller's roles allow no badge, ReauthenticationRequired, Overloaded."""
    await ctx.store.write(lambda unit: badges.check_own(unit, ctx))
    pins.check(pin, tenants.settings_of(ctx.user.tenant_settings).badge.pin_length, "pin")
    prepared = pins.prepare(ctx.services.random, pin)
    hashed = await ctx.services.hasher.hash(prepared.text)
    sealer, queue = ctx.services.sealer, ctx.services.mail_queue
    await ctx.store.write(lambda unit: badges.set_own_pin(unit, ctx, sealer, queue, prepared, hashed))
