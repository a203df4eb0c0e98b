"""E-mails about domains, to the client's Admins and to the operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manifest_auth import tenants
from manifest_auth.mail_queue import Queued
from manifest_auth.operations.mail_to_admins import to_admins
from manifest_auth.runtime import mail
from manifest_auth.runtime.mail import Email, Reader
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants.claims.domain_names import record_of
from manifest_auth.tenants.claims.domain_rows import LAPSES_MS, Claim
from manifest_auth.text.canonical import when

_PURPOSE = "domain"
_LAPSES_DAYS = LAPSES_MS // (DAY * 1000)


def notify_admins(
    unit: TenantUnit, services: Services, domain: str, make: Callable[[Reader], Email]
) -> list[Queued | None]:
    """Queues an e-mail to each active Admin of the client, in the transaction of its cause."""
    return to_admins(unit, services, _PURPOSE, f"domain:{domain}", make)


def failing(unit: TenantUnit, services: Services, claim: Claim, lapses_at: int) -> list[Queued | None]:
    """Queues the e-mail that the domain's record is missing. ``lapses_at``: milliseconds.

    Returns what was queued, None for each e-mail that was not.
    """
    name, value = record_of(claim.domain, claim.token)
    day = when(lapses_at)[:10]
    return notify_admins(
        unit, services, claim.domain, lambda to: mail.domain_failing(to, claim.domain, name, value, day)
    )


def lapsed(unit: TenantUnit, services: Services, claim: Claim) -> list[Queued | None]:
    """Queues the e-mail that the domain counts no longer. Returns as :func:`failing`."""
    name, value = record_of(claim.domain, claim.token)
    return notify_admins(
        unit, services, claim.domain, lambda to: mail.domain_lapsed(to, claim.domain, name, value, _LAPSES_DAYS)
    )


def contested(unit: SystemUnit, services: Services, domain: str, owner: int, contester: int) -> list[Queued | None]:
    """The e-mails to the clients do not name the other one; the operator's names both."""
    mails = notify_admins(unit.of(owner), services, domain, lambda to: mail.domain_held(to, domain))
    mails += notify_admins(
        unit.of(contester), services, domain, lambda to: mail.domain_contested(to, domain, _LAPSES_DAYS)
    )
    if operator := services.settings.operator_email:
        names = [tenants.get(unit.of(tenant_id), tenant_id).identifier for tenant_id in (owner, contester)]
        email = mail.domain_contested_between(Reader(operator, "en"), domain, *names)
        mails.append(_add(unit.of(owner), services, domain, email))
    return mails


def _add(unit: TenantUnit, services: Services, domain: str, email: Email) -> Queued | None:
    return services.mail_queue.add(unit, email, _PURPOSE, f"domain:{domain}")


def send(services: Services, mails: Sequence[Queued | None], request_id: str) -> None:
    """Sends queued e-mails in the background, after the commit."""
    services.mail_queue.send_soon(request_id, *mails)
