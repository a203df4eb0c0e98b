"""Adds the first factor of a user at the sign-in that requires one: an app or a passkey, which the answer confirms."""

from __future__ import annotations

from typing import Any

from manifest_auth import audit, tenants
from manifest_auth.accounts import factors
from manifest_auth.accounts.factors import Kind, totp
from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.protocols.webauthn import Refused
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import registration
from manifest_auth.sign_in.second_factor import gate, notices
from manifest_auth.sign_in.second_factor.answer import Answer, Judged
from manifest_auth.sign_in.second_factor.notices import Mails
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant

Enrolled = tuple[Judged, tuple[str, ...]]


def enrol(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, pending: Pending, answer: Answer, mails: Mails
) -> Enrolled:
    """The verdict on the answer of a locked user, and the recovery codes of the factor that it added. ``pending``: has
    the secret or the challenge that was given. Raises ValidationError where the client does not allow the factor,
    Conflict as :func:`.registration.add`."""
    gate.check_method(ctx, tenants.settings_of(tenant.settings), "totp" if answer.otp is not None else "passkey")
    if answer.new_passkey is not None:
        return _passkey(unit, ctx, tenant, user, pending, answer.new_passkey, answer.name, mails)
    if answer.otp is None or not pending.totp:
        return Judged(None), ()
    bound, services = unit.of(tenant.id), ctx.services
    if not totp.add(bound, services.sealer, user.id, pending.totp, answer.otp, ctx.now):
        return Judged(None), ()
    codes = factors.added(bound, services.random, user.id, user.factors, Kind.TOTP, ctx.now)
    audit.record(bound, ctx, Event.SECOND_FACTOR_ENROLLED, f"user:{user.id}", factor="totp")
    notices.enrolled(bound, ctx, mails, tenant, user, Kind.TOTP)
    return Judged("otp"), codes


def _passkey(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, pending: Pending, made: dict[str, Any],
    name: str, mails: Mails,
) -> Enrolled:  # fmt: skip
    try:
        added = registration.add(unit, ctx, tenant, user, pending.passkey, made, name)
    except Refused as refused:
        return Judged(None, why=f"passkey: {refused}"), ()
    audit.record(unit.of(tenant.id), ctx, Event.SECOND_FACTOR_ENROLLED, f"user:{user.id}", factor="passkey")
    if added.mail is not None:
        mails.queued.append(added.mail)
    return Judged("passkey"), added.recovery_codes
