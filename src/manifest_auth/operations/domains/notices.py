"""E-mails about domains: to the client's Admins, and to those who run the installation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.mail_queue import Queued
from manifest_auth.permissions import Role
from manifest_auth.runtime import mail
from manifest_auth.runtime.mail import Letter
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants.claims.domain_names import record_of
from manifest_auth.tenants.claims.domain_rows import Claim
from manifest_auth.text.canonical import when

_MOST = 50  # Admins of one client who are told
_ADMINS = frozenset({"role", "active"})


def tell_admins(
    unit: TenantUnit, services: Services, domain: str, make: Callable[[str, str], Letter]
) -> list[Queued | None]:
    """An e-mail to each active Admin of the client, in the transaction of what it tells of. ``make``: of an address and
    the client's name."""
    client = tenants.get(unit, unit.tenant_id).name
    admins = users.LISTING.page(unit, first=_MOST, sort="ID", filters=_ADMINS, role=Role.ADMIN.bit)
    return [_add(unit, services, domain, make(admin.email, client)) for admin in admins]


def failing(unit: TenantUnit, services: Services, claim: Claim, lapses_at: int) -> list[Queued | None]:
    name, value = record_of(claim.domain, claim.token)
    until = when(lapses_at)[:10]
    return tell_admins(
        unit, services, claim.domain,
        lambda to, client: mail.domain_failing(to, client, claim.domain, name, value, until),
    )  # fmt: skip


def lapsed(unit: TenantUnit, services: Services, claim: Claim) -> list[Queued | None]:
    name, value = record_of(claim.domain, claim.token)
    return tell_admins(
        unit, services, claim.domain, lambda to, client: mail.domain_lapsed(to, client, claim.domain, name, value)
    )


def contested(unit: SystemUnit, services: Services, domain: str, owner: int, contester: int) -> list[Queued | None]:
    """Neither client learns who the other is; the operator is told both."""
    told: list[Queued | None] = []
    for tenant_id in (owner, contester):
        told += tell_admins(
            unit.of(tenant_id), services, domain,
            lambda to, client: mail.domain_contested(to, client, domain, holds=tenant_id == owner),  # noqa: B023
        )  # fmt: skip
    if operator := services.settings.operator_email:
        names = [tenants.get(unit.of(tenant_id), tenant_id).identifier for tenant_id in (owner, contester)]
        letter = mail.domain_contested_between(operator, domain, *names)
        told.append(_add(unit.of(owner), services, domain, letter))
    return told


def _add(unit: TenantUnit, services: Services, domain: str, letter: Letter) -> Queued | None:
    return services.mail_queue.add(unit, letter, "domain", f"domain:{domain}")


def send(services: Services, told: Sequence[Queued | None], request_id: str) -> None:
    """Sends what was queued, after the commit; no one waits for it."""
    services.mail_queue.send_soon(request_id, *told)
