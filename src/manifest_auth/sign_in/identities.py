"""Identities at providers are taken from an account, and confirmed by an Admin. Both open or close a way into it."""

from __future__ import annotations

from manifest_auth import accounts, audit, providers, sessions
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.store import TenantUnit


def unlink_own(unit: TenantUnit, ctx: RequestContext, identity: int) -> None:
    """From the caller's account, whose other sessions at that provider end. Raises NotFound, and Conflict for the one
    that the account was made through."""
    user = ctx.user
    gone = group_roles.unlink(unit, ctx, user.user_id, identity)
    if gone.made_the_account:
        raise Conflict("The account was made through this identity: only an administrator unlinks it")
    providers.drop_tokens(unit, user.user_id)
    reason = "identity_unlinked"
    ended = sessions.end_users_at(unit, user.user_id, gone.provider_id, reason, ctx.now, but=user.session_id)
    _unlinked(unit, ctx, user.user_id, identity, ended)


def unlink(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int) -> None:
    """From the account of a user whom the caller manages, and whose sessions end. Raises NotFound, Forbidden."""
    user = accounts.managed(unit, ctx, user_id)
    group_roles.unlink(unit, ctx, user.id, identity)
    providers.drop_tokens(unit, user.id)
    _unlinked(unit, ctx, user.id, identity, sessions.end_all(unit, user.id, "identity_unlinked", ctx.now))


def confirm(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int) -> None:
    """An Admin says that it is the user's. Raises NotFound, Forbidden."""
    user = accounts.managed(unit, ctx, user_id, own="Nobody confirms an identity of their own")
    accounts.check_is_admin(unit, ctx, "Only an Admin confirms an identity")
    providers.confirm(unit, user.id, identity, ctx.caller.actor, ctx.now)
    audit.record(unit, ctx, Event.IDENTITY_CONFIRMED, f"user:{user.id}", identity=identity)


def _unlinked(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int, ended: int) -> None:
    detail = {"identity": identity, "sessions_ended": ended}
    audit.record(unit, ctx, Event.IDENTITY_UNLINKED, f"user:{user_id}", **detail)
