"""E-mails about domains and secrets to the Admins of a client, and to the operator."""

from __future__ import annotations

from collections.abc import Callable

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.audit import Origin
from manifest_auth.context import Acting
from manifest_auth.permissions import Role
from manifest_auth.runtime import mail
from manifest_auth.runtime.mail import Email, Reader
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants.claims.domains import LAPSES_MS, Claim
from manifest_auth.text.canonical import when

# Queues an e-mail to each Admin of a client, in the transaction of its cause.


_MOST = 50  # Admins of one client who get the e-mail
_ADMINS = frozenset({"role", "active"})


def to_admins(
    unit: TenantUnit, services: Services, acting: Acting, purpose: str, subject: str, make: Callable[[Reader], Email]
) -> None:
    """``purpose``, ``subject``: as for :meth:`.mail_queue.MailQueue.add`."""
    tenant = tenants.get(unit, unit.tenant_id)
    admins = users.LISTING.page(unit, first=_MOST, sort="ID", filters=_ADMINS, role=Role.ADMIN.bit)
    for admin in admins:
        services.mail_queue.add(unit, acting, make(reader(admin, tenant)), purpose, subject)


# E-mails about domains, to the client's Admins and to the operator.


_PURPOSE = "domain"
_LAPSES_DAYS = LAPSES_MS // (DAY * 1000)


def notify_admins(
    unit: TenantUnit, services: Services, who: Origin, domain: str, make: Callable[[Reader], Email]
) -> None:
    """Queues an e-mail to each active Admin of the client, in the transaction of its cause."""
    to_admins(unit, services, who, _PURPOSE, f"domain:{domain}", make)


def failing(unit: TenantUnit, services: Services, who: Origin, claim: Claim, lapses_at: int) -> None:
    """Queues the e-mail that the domain's record is missing. ``lapses_at``: milliseconds."""
    name, value = claim.record
    day = when(lapses_at)[:10]
    notify_admins(unit, services, who, claim.domain, lambda to: mail.domain_failing(to, claim.domain, name, value, day))


def lapsed(unit: TenantUnit, services: Services, who: Origin, claim: Claim) -> None:
    """Queues the e-mail that the domain counts no longer."""
    name, value = claim.record
    notify_admins(
        unit, services, who, claim.domain, lambda to: mail.domain_lapsed(to, claim.domain, name, value, _LAPSES_DAYS)
    )


def contested(unit: SystemUnit, services: Services, who: Origin, domain: str, owner: int, contester: int) -> None:
    """Queues e-mails to both clients, which do not name the other one, and to the operator, which names both."""
    notify_admins(unit.of(owner), services, who, domain, lambda to: mail.domain_held(to, domain))
    contests = unit.of(contester)
    notify_admins(contests, services, who, domain, lambda to: mail.domain_contested(to, domain, _LAPSES_DAYS))
    if operator := services.settings.operator_email:
        names = [tenants.get(unit.of(tenant_id), tenant_id).identifier for tenant_id in (owner, contester)]
        email = mail.domain_contested_between(Reader(operator, "en"), domain, *names)
        services.mail_queue.add(unit.of(owner), who, email, _PURPOSE, f"domain:{domain}")
