"""Emails about domains and secrets to a client's Admins and to the operator; watches when secrets expire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import BigInteger, and_, bindparam, or_, select

from manifest_auth import audit, tenants
from manifest_auth.accounts import service_accounts, users
from manifest_auth.accounts.mail_queue import TO_OPERATOR, reader
from manifest_auth.accounts.service_accounts import ENDED
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Acting
from manifest_auth.permissions import Role
from manifest_auth.runtime.mail import Email, Reader, emails
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant
from manifest_auth.store.tables import service_secrets
from manifest_auth.tenants.claims.domains import LAPSES_MS, Claim
from manifest_auth.text.canonical import when
from manifest_auth.text.machine_secrets import SecretKind

_MOST = 50  # the maximum number of Admins of one client who get the email
_ADMINS = frozenset({"role", "active"})


def to_admins(
    unit: TenantUnit, services: Services, acting: Acting, purpose: str, subject: str, make: Callable[[Reader], Email]
) -> None:
    """Queues an email to each Admin. For ``purpose`` and ``subject``, see :meth:`.mail_queue.MailQueue.add`."""
    tenant = tenants.get(unit, unit.tenant_id)
    for admin in users.LISTING.page(unit, first=_MOST, sort="ID", filters=_ADMINS, role=Role.ADMIN.bit):
        services.mail_queue.add(unit, acting, make(reader(admin, tenant)), purpose, subject)


_PURPOSE = "domain"
_LAPSES_DAYS = LAPSES_MS // (DAY * 1000)


def notify_admins(
    unit: TenantUnit, services: Services, who: Origin, domain: str, make: Callable[[Reader], Email]
) -> None:
    """Queues an email to each active Admin of the client, in the transaction that causes it."""
    to_admins(unit, services, who, _PURPOSE, f"domain:{domain}", make)


def failing(unit: TenantUnit, services: Services, who: Origin, claim: Claim, lapses_at: int) -> None:
    """Queues the email about the domain's missing record. ``lapses_at`` is in milliseconds."""
    name, value = claim.record
    day = when(lapses_at)[:10]
    notify_admins(
        unit, services, who, claim.domain, lambda to: emails.domain_failing(to, claim.domain, name, value, day)
    )


def lapsed(unit: TenantUnit, services: Services, who: Origin, claim: Claim) -> None:
    """Queues the email that the domain is no longer verified."""
    name, value = claim.record
    notify_admins(
        unit, services, who, claim.domain, lambda to: emails.domain_lapsed(to, claim.domain, name, value, _LAPSES_DAYS)
    )


def contested(unit: SystemUnit, services: Services, who: Origin, domain: str, owner: int, contester: int) -> None:
    """Queues emails to both clients, without naming the other one, and to the operator, naming both."""
    notify_admins(unit.of(owner), services, who, domain, lambda to: emails.domain_held(to, domain))
    contests = unit.of(contester)
    notify_admins(contests, services, who, domain, lambda to: emails.domain_contested(to, domain, _LAPSES_DAYS))
    if operator := services.settings.operator_email:
        names = [tenants.get(unit.of(tenant_id), tenant_id).identifier for tenant_id in (owner, contester)]
        email = emails.domain_contested_between(Reader(operator, "en"), domain, *names)
        services.mail_queue.add(unit.of(owner), who, email, TO_OPERATOR, f"domain:{domain}")


# Every process checks, but only one acts, because each step is a single conditional update.

_MOST_DUE: Final = 200  # per round
_DAY_MS = 86_400_000


_S = service_secrets.c
_FIRST, _LAST = service_accounts.NOTICE_DAYS
_DUE = cross_tenant(
    select(_S.tenant_id, _S.id)
    .where(
        _S.ended_at.is_(None),
        _S.ends_at <= bindparam("first", type_=BigInteger()),
        or_(
            _S.notices == 0,
            and_(_S.notices == 1, _S.ends_at <= bindparam("last", type_=BigInteger())),
            and_(_S.notices < ENDED, _S.ends_at <= bindparam("now", type_=BigInteger())),
        ),
    )
    .order_by(_S.ends_at)
    .limit(_MOST_DUE),
    because="one job watches the expiry of all clients' secrets",
)


async def watch_secret_ends(services: Services) -> int:
    """Runs one round. Returns how many secrets were due."""
    now = services.clock.now_ms()
    due = await services.store.read(
        lambda unit: unit.all(_DUE, now=now, first=now + _FIRST * _DAY_MS, last=now + _LAST * _DAY_MS)
    )
    for tenant_id, secret_id in due:
        await services.store.of(tenant_id).write(lambda unit: _step_of_secret(unit, services, secret_id, now))  # noqa: B023 - awaited
    return len(due)


def _step_of_secret(unit: TenantUnit, services: Services, secret_id: str, now: int) -> None:
    secret = service_accounts.find_secret(unit, secret_id)
    if secret is None or not service_accounts.noticed(unit, secret, now):
        return  # another process was first
    account = service_accounts.find(unit, secret.user_id)
    assert account is not None, "a secret belongs to an account"
    if secret.ends_at <= now:
        if secret.kind == SecretKind.API_KEY.value:
            detail = {"key": secret.id, "hint": secret.hint}
            audit.record(unit, Origin(now, "system", "", "sweeping"), Event.API_KEY_EXPIRED, account.subject, **detail)
        return
    if account.deactivated_at is not None:
        return
    days, day = max(1, (secret.ends_at - now) // _DAY_MS), when(secret.ends_at)[:10]
    to_admins(
        unit,
        services,
        Origin(now, "system", "", "secret-ends"),
        "machine_secret_ends",
        account.subject,
        lambda to: emails.machine_secret_ends(to, account.name, secret.hint, day, days),
    )
