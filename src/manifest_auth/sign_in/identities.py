"""Unlinking of identities at providers from an account, and their confirmation by an Admin."""

from __future__ import annotations

from manifest_auth import accounts, audit, providers, sessions
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.store import TenantUnit


def unlink_own(unit: TenantUnit, ctx: RequestContext, identity: int) -> None:
    """Unlinks an identity from the caller's account and ends the caller's other sessions of that provider. Raises
    NotFound, and Conflict for the identity that created the account."""
    user = ctx.user
    gone = group_roles.unlink(unit, ctx, user.user_id, identity)
    if gone.created_account:
        raise Conflict("The account was made through this identity: only an administrator unlinks it")
    providers.drop_tokens(unit, user.user_id)
    reason = "identity_unlinked"
    ended = sessions.end_users_at_provider(unit, user.user_id, gone.provider_id, reason, ctx.now, but=user.session_id)
    _unlinked(unit, ctx, user.user_id, identity, ended)


def unlink(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int) -> None:
    """Unlinks an identity from a user whom the caller manages, and ends all of the user's sessions. Raises NotFound,
    Forbidden."""
    user = accounts.get_managed(unit, ctx, user_id)
    group_roles.unlink(unit, ctx, user.id, identity)
    providers.drop_tokens(unit, user.id)
    _unlinked(unit, ctx, user.id, identity, sessions.end_all(unit, user.id, "identity_unlinked", ctx.now))


def confirm(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int) -> None:
    """Records that an Admin confirms the identity as the user's. Raises NotFound, Forbidden."""
    user = accounts.get_managed(unit, ctx, user_id, own="Your own identities are confirmed by another Admin")
    accounts.check_is_admin(unit, ctx, "Only an Admin confirms an identity")
    providers.confirm(unit, user.id, identity, ctx.caller.actor, ctx.now)
    audit.record(unit, ctx, Event.IDENTITY_CONFIRMED, f"user:{user.id}", identity=identity)


def _unlinked(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int, ended: int) -> None:
    detail = {"identity": identity, "sessions_ended": ended}
    audit.record(unit, ctx, Event.IDENTITY_UNLINKED, f"user:{user_id}", **detail)
