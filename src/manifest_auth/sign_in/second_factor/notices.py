"""E-mails to a user about answers with a second factor: a recovery code was used, codes were wrong.

What changes the factors themselves is told by :mod:`manifest_auth.accounts.factor_notices`.
"""

from __future__ import annotations

from manifest_auth.accounts.factors import recovery_codes
from manifest_auth.accounts.readers import reader
from manifest_auth.accounts.users import User
from manifest_auth.runtime import mail
from manifest_auth.runtime.mail import Email
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import Tenant
from manifest_auth.throttle import throttle

#: So many wrong codes behind a right password, without a day between two of them, are told to the user.
TOLD_AFTER = 5


def recovery_code_used(unit: TenantUnit, ctx: RequestContext, tenant: Tenant, user: User) -> None:
    """Says that a code was used, from where, and how many are left."""
    left = recovery_codes.left(unit, user.id)
    email = mail.recovery_code_used(reader(user, tenant), ctx.address, left)
    _add(unit, ctx, user, email, "recovery_code_used")


def wrong_code(unit: TenantUnit, ctx: RequestContext, tenant: Tenant, user: User) -> None:
    """Counts a wrong code behind a right password. The fifth says that someone else knows the password; so do the
    10th, 20th, 40th … of an attack that goes on. A right code does not reset the count: the owner's own sign-ins must
    not hide the guesses of another."""
    key = throttle.key_of("wrong_codes", unit.tenant_id, user.id)
    times, rest = divmod(throttle.tally(unit, key, ctx.now, DAY * 1000), TOLD_AFTER)
    if times and not rest and not times & (times - 1):
        email = mail.wrong_codes(reader(user, tenant), ctx.address)
        _add(unit, ctx, user, email, "second_factor_failed")


def _add(unit: TenantUnit, ctx: RequestContext, user: User, email: Email, purpose: str) -> None:
    ctx.services.mail_queue.add(unit, ctx, email, purpose, f"user:{user.id}")
