"""Options for a browser whose sign-in waits for its second factor: to answer with a passkey, or to make the first one.

The WebAuthn challenge of 32 random bytes is kept in the row of the sign-in's own challenge, so it ends with that.
"""

from __future__ import annotations

from typing import Any

from manifest_auth import tenants
from manifest_auth.accounts.factors import challenges
from manifest_auth.accounts.factors.challenges import Challenge
from manifest_auth.accounts.users import User
from manifest_auth.errors import InvalidToken
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import assertions, registration
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.sign_in.second_factor.open_challenges import open_challenge
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant

_BYTES = 32


async def to_answer(ctx: RequestContext, text: str) -> dict[str, Any]:
    """What the browser needs to answer the challenge of ``MFA_REQUIRED`` (``text``) with a passkey of this user. Raises
    InvalidToken, TokenExpired, Conflict where passkeys are off."""

    def work(unit: SystemUnit) -> dict[str, Any]:
        challenge, tenant, user = _opened(unit, ctx, text, enrols=False)
        return assertions.options_for(unit, ctx, user, _kept(unit, ctx, challenge, tenant))

    return await ctx.services.store.write(work)


async def to_enrol(ctx: RequestContext, text: str) -> dict[str, Any]:
    """What the browser needs to make the passkey that this sign-in has to enrol. Raises InvalidToken, TokenExpired,
    ValidationError where the client does not allow it, Conflict where passkeys are off."""

    def work(unit: SystemUnit) -> dict[str, Any]:
        challenge, tenant, user = _opened(unit, ctx, text, enrols=True)
        gate.check_enrolment(unit.of(tenant.id), ctx, tenants.settings_of(tenant.settings), user, challenge, "passkey")
        return registration.options_for(unit, ctx, tenant, user, _kept(unit, ctx, challenge, tenant))

    return await ctx.services.store.write(work)


def _opened(unit: SystemUnit, ctx: RequestContext, text: str, *, enrols: bool) -> tuple[Challenge, Tenant, User]:
    found, tenant, user = open_challenge(unit, ctx, text, lock=True)
    if bool(found.enrols) != enrols:
        raise InvalidToken(reason="the challenge asks for something else")
    return found, tenant, user


def _kept(unit: SystemUnit, ctx: RequestContext, challenge: Challenge, tenant: Tenant) -> str:
    """A new WebAuthn challenge in place of a former one."""
    services, fresh = ctx.services, ctx.services.random.text(_BYTES)
    pending = challenges.pending_of(services.sealer, challenge)
    challenges.keep(unit.of(tenant.id), services.sealer, challenge, pending.with_passkey(fresh), ctx.now)
    return fresh
