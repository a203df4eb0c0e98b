"""E-mails about domains, to the client's Admins and to the operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.mail_queue import Queued
from manifest_auth.permissions import Role
from manifest_auth.runtime import mail
from manifest_auth.runtime.mail import Email
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants.claims.domain_names import record_of
from manifest_auth.tenants.claims.domain_rows import Claim
from manifest_auth.text.canonical import when

_MOST = 50  # Admins of one client who get the e-mail
_ADMINS = frozenset({"role", "active"})


def notify_admins(
    unit: TenantUnit, services: Services, domain: str, make: Callable[[str, str], Email]
) -> list[Queued | None]:
    """Queues an e-mail to each active Admin of the client, in the transaction of its cause. ``make``: gets address and
    client name."""
    client = tenants.get(unit, unit.tenant_id).name
    admins = users.LISTING.page(unit, first=_MOST, sort="ID", filters=_ADMINS, role=Role.ADMIN.bit)
    return [_add(unit, services, domain, make(admin.email, client)) for admin in admins]


def failing(unit: TenantUnit, services: Services, claim: Claim, lapses_at: int) -> list[Queued | None]:
    """Queues the e-mail that the domain's record is missing. ``lapses_at``: milliseconds.

    Returns what was queued, None for each e-mail that was not.
    """
    name, value = record_of(claim.domain, claim.token)
    until = when(lapses_at)[:10]
    return notify_admins(
        unit, services, claim.domain,
        lambda to, client: mail.domain_failing(to, client, claim.domain, name, value, until),
    )  # fmt: skip


def lapsed(unit: TenantUnit, services: Services, claim: Claim) -> list[Queued | None]:
    """Queues the e-mail that the domain counts no longer. Returns as :func:`failing`."""
    name, value = record_of(claim.domain, claim.token)
    return notify_admins(
        unit, services, claim.domain, lambda to, client: mail.domain_lapsed(to, client, claim.domain, name, value)
    )


def contested(unit: SystemUnit, services: Services, domain: str, owner: int, contester: int) -> list[Queued | None]:
    """The e-mails to the clients do not name the other one; the operator's names both."""
    mails: list[Queued | None] = []
    for tenant_id in (owner, contester):
        mails += notify_admins(
            unit.of(tenant_id), services, domain,
            lambda to, client: mail.domain_contested(to, client, domain, holds=tenant_id == owner),  # noqa: B023 - called at once
        )  # fmt: skip
    if operator := services.settings.operator_email:
        names = [tenants.get(unit.of(tenant_id), tenant_id).identifier for tenant_id in (owner, contester)]
        email = mail.domain_contested_between(operator, domain, *names)
        mails.append(_add(unit.of(owner), services, domain, email))
    return mails


def _add(unit: TenantUnit, services: Services, domain: str, email: Email) -> Queued | None:
    return services.mail_queue.add(unit, email, "domain", f"domain:{domain}")


def send(services: Services, mails: Sequence[Queued | None], request_id: str) -> None:
    """Sends queued e-mails in the background, after the commit."""
    services.mail_queue.send_soon(request_id, *mails)
