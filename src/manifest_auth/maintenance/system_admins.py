"""Creates system admins and sets their passwords, hashed before the transaction, and random by default."""

from __future__ import annotations

from manifest_auth.accounts import password_rules
from manifest_auth.accounts.admins import admins, management
from manifest_auth.accounts.admins.management import AdminData
from manifest_auth.audit import Act
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import PasswordRules, step_up
from manifest_auth.text.models import ErrorCollector, Wire

_PASSWORD_BYTES = 18  # 24 characters, 144 bits


class AdminMadeData(Wire, frozen=True):
    """``password``: a random password, returned only here; null if the request contained one."""

    admin: AdminData
    password: str | None


async def create(ctx: RequestContext, username: str, password: str | None = None) -> AdminMadeData:
    """Creates a system admin. Raises ValidationError, Conflict if the name is taken, Overloaded, InvalidToken, or
    ReauthenticationRequired."""
    step_up.check(ctx, Act.ADMINS)
    made = ctx.services.random.text(_PASSWORD_BYTES) if password is None else None
    with ErrorCollector() as each:
        with each:
            admins.check_username(username)
        if password is not None:
            with each:
                password_rules.check(password, PasswordRules(), (username,))
    stored = await ctx.services.hasher.hash(made or password or "")

    def work(unit: SystemUnit) -> AdminData:
        management.lock_active_admins(unit, ctx)
        return management.get_listed(unit, management.create(unit, ctx, username, stored))

    return AdminMadeData(await ctx.services.store.write(work), made)


async def reset_password(ctx: RequestContext, admin_id: int) -> AdminMadeData:
    """Sets a random password for another system admin, and ends their sessions. Raises NotFound, Conflict, Overloaded,
    InvalidToken, or ReauthenticationRequired."""
    step_up.check(ctx, Act.ADMINS)
    await ctx.services.store.read(lambda unit: management.get_listed(unit, admin_id))
    made = ctx.services.random.text(_PASSWORD_BYTES)
    stored = await ctx.services.hasher.hash(made)

    def work(unit: SystemUnit) -> AdminData:
        management.reset_password(unit, ctx, admin_id, stored)
        return management.get_listed(unit, admin_id)

    return AdminMadeData(await ctx.services.store.write(work), made)
