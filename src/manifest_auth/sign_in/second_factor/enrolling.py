"""Enrols the second factor that a sign-in finds due: begins it, and adds it with the answer that confirms it."""

from __future__ import annotations

from typing import Any

from manifest_auth import tenants
from manifest_auth.accounts import factor_notices, factors
from manifest_auth.accounts.factors import Kind, challenges, recovery_codes, totp
from manifest_auth.accounts.factors.challenges import Challenge, Pending
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.protocols import totp as protocol
from manifest_auth.protocols.webauthn import WebauthnRefused
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import registration
from manifest_auth.sign_in.second_factor import gate, new_app
from manifest_auth.sign_in.second_factor.answer import Answer, Judged
from manifest_auth.sign_in.second_factor.new_app import NewApp
from manifest_auth.sign_in.second_factor.open_challenges import open_challenge, pending_of
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant


async def enrol_totp(ctx: RequestContext, text: str) -> NewApp:
    """A new secret for a sign-in that has to enrol a factor; it counts with its first right code. Raises InvalidToken,
    TokenExpired, ValidationError where the client does not allow it."""

    secret = protocol.new_secret(ctx.services.random)

    def work(unit: SystemUnit) -> tuple[str, str]:
        challenge, tenant, user = open_challenge(unit, ctx, text, lock=True)
        bound, sealer = unit.of(tenant.id), ctx.services.sealer
        gate.check_enrolment(bound, ctx, tenants.settings_of(tenant.settings), user, challenge, "totp")
        pending = pending_of(ctx, challenge)
        challenges.keep(bound, sealer, challenge, pending.with_totp(secret), ctx.now)
        return user.email, tenants.shown_name(tenant)

    return await new_app.shown(secret, *await ctx.services.store.write(work))


def confirm(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, challenge: Challenge,
    pending: Pending, answer: Answer,
) -> tuple[Judged, tuple[str, ...]]:  # fmt: skip
    """Adds the first factor of a locked user that works here, which the answer confirms; how it was judged, and the
    recovery codes. ``pending``: with the secret or challenge of the factor. Raises ValidationError where the client
    does not allow it, InvalidToken."""
    bound, services = unit.of(tenant.id), ctx.services
    method = "totp" if answer.otp is not None else "passkey"
    gate.check_enrolment(bound, ctx, tenants.settings_of(tenant.settings), user, challenge, method)
    if answer.new_passkey is not None:
        return _passkey(unit, ctx, tenant, user, pending, answer.new_passkey, answer.name)
    if answer.otp is None or not pending.totp:
        return Judged(None), ()
    if not totp.add(bound, services.sealer, user.id, pending.totp, answer.otp, ctx.now):
        return Judged(None), ()
    codes = factors.added(bound, services.random, user.id, user.factors, Kind.TOTP, ctx.now)
    event = Event.SECOND_FACTOR_ENROLLED
    factor_notices.tell(bound, ctx, services.mail_queue, user, event, factor="totp")
    return Judged("otp"), codes or _new_codes(bound, ctx, user)


def _passkey(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, pending: Pending, made: dict[str, Any],
    name: str,
) -> tuple[Judged, tuple[str, ...]]:  # fmt: skip
    try:
        added = registration.add(unit, ctx, tenant, user, pending.passkey, made, name)
    except WebauthnRefused as refused:
        return Judged(None, why=f"passkey: {refused}"), ()
    return Judged("passkey"), added.recovery_codes or _new_codes(unit.of(tenant.id), ctx, user)


def _new_codes(unit: TenantUnit, ctx: RequestContext, user: User) -> tuple[str, ...]:
    """For who enrols in place of passkeys that work no more, which happens where no code is left."""
    return recovery_codes.make(unit, ctx.services.random, user.id, ctx.now)
