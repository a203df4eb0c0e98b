"""How a provider goes: with its sessions, its links to people, and the roles that its groups gave them.

One that gave roles to many goes in steps, each a transaction of its own. First it is switched off, so that nobody comes
any more; whoever finds it half gone deletes it again, and that goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable

from manifest_auth import audit, providers, sessions
from manifest_auth.audit import Event
from manifest_auth.errors import Forbidden
from manifest_auth.permissions import Role
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.store import SystemUnit, TenantUnit

STEP = 100  # people in a transaction


async def delete(ctx: RequestContext, client: Callable[[SystemUnit], TenantUnit], name: str, *, by_admin: bool) -> None:
    """``client``: the unit of the client that is meant; ``by_admin``: whether an Admin does it. Raises NotFound, and
    Forbidden for a User Admin where its groups gave the role Admin, which only an Admin takes."""

    def work(unit: SystemUnit) -> bool:
        bound = client(unit)
        return _step(bound, ctx, providers.get(bound, name, lock=True), by_admin=by_admin)

    while not await ctx.services.store.write(work):
        pass


def _step(unit: TenantUnit, ctx: RequestContext, provider: Provider, *, by_admin: bool) -> bool:
    """Whether it is gone."""
    if not by_admin and providers.granting_identities(unit, provider.id, 1, Role.ADMIN.bit):
        raise Forbidden("Only an Admin deletes a provider whose groups gave the role Admin")
    ended = sessions.end_provider(unit, provider.id, "provider_deleted", ctx.now)
    given = providers.granting_identities(unit, provider.id, STEP + 1)
    is_last = len(given) <= STEP
    if not is_last and provider.disabled_at is None:
        providers.switch(unit, provider, on=False, by_admin=by_admin, now=ctx.now)
        change = {"before": {"on": True}, "after": {"on": False}, "sessions_ended": ended}
        event = Event.PROVIDER_SWITCHED_OFF
        audit.record(unit, ctx, event, f"provider:{provider.id}", name=provider.name, **change)
        return False
    group_roles.unlink_all(unit, ctx, given[:STEP])
    if is_last:
        providers.remove(unit, provider)
        before = {
            "displayName": provider.display_name,
            "on": provider.disabled_at is None,
            "settings": provider.settings,
        }
        members = {"name": provider.name, "before": before, "sessions_ended": ended}
        audit.record(unit, ctx, Event.PROVIDER_DELETED, f"provider:{provider.id}", **members)
    return is_last
