"""Deletes a provider with its sessions, its identities, and the roles that its groups granted.

A provider that granted roles to many users is deleted in steps, each in its own transaction. It is switched off first,
so that no user signs in any more; repeating an interrupted deletion continues it.
"""

from __future__ import annotations

from collections.abc import Callable

from manifest_auth import audit, providers, sessions
from manifest_auth.audit import Act, Event
from manifest_auth.errors import Forbidden
from manifest_auth.operations import admins_way_in
from manifest_auth.permissions import Role
from manifest_auth.providers import Issuer, Provider
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.sign_in.providers.kinds import settings_of
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up

STEP = 100  # identities in one transaction


async def delete(ctx: RequestContext, client: Callable[[SystemUnit], TenantUnit], name: str, *, by_admin: bool) -> None:
    """Deletes the provider. ``client``: returns the client's unit; ``by_admin``: the caller ranks as an Admin. Raises
    NotFound, Forbidden for a User Admin where its groups granted the role Admin, which only an Admin removes, and what
    :func:`.admins_way_in.check_stays` does."""

    step_up.check(ctx, Act.PROVIDERS)
    await ctx.services.store.read(lambda unit: audit.check_is_open(client(unit), ctx, may_end=True))

    def work(unit: SystemUnit) -> bool:
        bound = client(unit)
        return _step(bound, ctx, providers.get(bound, name, lock=True), by_admin=by_admin)

    while not await ctx.services.store.write(work):
        pass


def _step(unit: TenantUnit, ctx: RequestContext, provider: Provider, *, by_admin: bool) -> bool:
    """Does one step; True when the provider is deleted."""
    if not by_admin and providers.granting_identities(unit, provider.id, 1, Role.ADMIN.bit):
        raise Forbidden("Only an Admin deletes a provider whose groups gave the role Admin")
    admins_way_in.check_stays(unit, ctx, provider)
    ended = sessions.end_provider(unit, provider.id, "provider_deleted", ctx.now)
    given = providers.granting_identities(unit, provider.id, STEP + 1)
    is_last = len(given) <= STEP
    if not is_last and provider.disabled_at is None:
        providers.switch(unit, provider, on=False, by_admin=by_admin, now=ctx.now)
        change = {"before": {"on": True}, "after": {"on": False}, "sessions_ended": ended}
        event = Event.PROVIDER_SWITCHED_OFF
        audit.record(unit, ctx, event, f"provider:{provider.id}", name=provider.name, **change)
        return False
    issuer = Issuer(provider.kind, settings_of(provider).own.subjects_in)
    group_roles.unlink_all(unit, ctx, given[:STEP], issuer)
    if is_last:
        providers.remove(unit, provider, issuer)
        before = {
            "displayName": provider.display_name,
            "on": provider.disabled_at is None,
            "settings": provider.settings,
        }
        members = {"name": provider.name, "before": before, "sessions_ended": ended}
        audit.record(unit, ctx, Event.PROVIDER_DELETED, f"provider:{provider.id}", **members)
    return is_last
