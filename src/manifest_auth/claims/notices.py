"""E-mails about domains: to the client's Admins, and to those who run the installation."""

from __future__ import annotations

from collections.abc import Callable

from manifest_auth import tenants, users
from manifest_auth.claims.domain_names import record_of
from manifest_auth.claims.domain_rows import Claim
from manifest_auth.context import House
from manifest_auth.mail import LEISURE_S, Letter, letters
from manifest_auth.permissions import Role
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text import when

_MOST = 50  # Admins of one client who are told
#: Stands for the operator's address until the e-mail is sent.
OPERATOR = ""
_ADMINS = frozenset({"role", "active"})


def tell_admins(unit: TenantUnit, make: Callable[[str, str], Letter]) -> list[Letter]:
    """An e-mail to each active Admin of the client. ``make``: of an address and the client's name."""
    client = tenants.get(unit, unit.tenant_id).name
    admins = users.LISTING.page(unit, first=_MOST, sort="ID", filters=_ADMINS, role=Role.ADMIN.bit)
    return [make(admin.email, client) for admin in admins]


def failing(unit: TenantUnit, claim: Claim, lapses_at: int) -> list[Letter]:
    record = record_of(claim.domain, claim.token)
    return tell_admins(
        unit, lambda to, client: letters.domain_failing(to, client, claim.domain, *record, when(lapses_at)[:10])
    )


def lapsed(unit: TenantUnit, claim: Claim) -> list[Letter]:
    record = record_of(claim.domain, claim.token)
    return tell_admins(unit, lambda to, client: letters.domain_lapsed(to, client, claim.domain, *record))


def contested(unit: SystemUnit, domain: str, owner: int, contester: int) -> list[Letter]:
    """Neither client learns who the other is; the operator is told both."""
    told = tell_admins(unit.of(owner), lambda to, client: letters.domain_contested(to, client, domain, holds=True))
    told += tell_admins(
        unit.of(contester), lambda to, client: letters.domain_contested(to, client, domain, holds=False)
    )
    names = [tenants.get(unit.of(tenant_id), tenant_id).identifier for tenant_id in (owner, contester)]
    return [*told, letters.domain_contested_between(OPERATOR, domain, *names)]


async def send(house: House, told: list[Letter], request_id: str) -> None:
    """Sends them one after the other, where mail is set up; nobody waits for it."""
    operator = house.settings.operator_email
    if not house.mail.is_set_up:
        return
    for letter in told:
        if letter.to != OPERATOR or operator:
            addressed = letter._replace(to=letter.to or operator)
            await house.mail.send(addressed, house.mail.deadline(LEISURE_S), request_id)
