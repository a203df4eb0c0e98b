"""Finds the challenge of a sign-in under way, as long as it can be answered."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors import challenges
from manifest_auth.accounts.factors.challenges import Challenge, Pending
from manifest_auth.accounts.users import User
from manifest_auth.errors import AccountDisabled, InvalidToken, TokenExpired
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant

OVER = "the challenge is over"


def open_challenge(
    unit: SystemUnit, ctx: RequestContext, text: str, *, lock: bool = False
) -> tuple[Challenge, Tenant, User]:
    """The challenge, as long as it can be answered. ``lock``: locks the user's row, before the challenge is read again.
    Raises InvalidToken, TokenExpired, AccountDisabled where the client is suspended, Forbidden for one of another
    client than the request names."""
    found = challenges.find(unit, text)
    if found is None:
        raise InvalidToken(reason="no challenge of ours")
    user = users.get(unit.of(found.tenant_id), found.user_id, lock=lock)
    found = challenges.find(unit, text) if lock else found
    if found is None or found.used_at is not None or found.proof != challenges.hash_of(user.password_hash):
        raise InvalidToken(reason=OVER)
    if found.expires_at <= ctx.now:
        raise TokenExpired()
    tenant = tenants.get(unit, found.tenant_id)
    ctx.client_hint.check(tenant.identifier, tenant.id, "challenge")
    if tenant.suspended_at is not None:
        raise AccountDisabled(client=tenant.identifier)
    if user.deactivated_at is not None:
        raise InvalidToken(reason="the account was switched off meanwhile")
    return found, tenant, user


def pending_of(ctx: RequestContext, challenge: Challenge) -> Pending:
    """What a right answer leads to. Raises InvalidToken."""
    try:
        return challenges.pending_of(ctx.services.sealer, challenge)
    except CannotOpen:
        raise InvalidToken(reason="the challenge was sealed with a key that is gone") from None
