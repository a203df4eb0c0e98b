"""Queues an e-mail to each Admin of a client, in the transaction of its cause."""

from __future__ import annotations

from collections.abc import Callable

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.context import Acting
from manifest_auth.permissions import Role
from manifest_auth.runtime.mail import Email, Reader
from manifest_auth.services import Services
from manifest_auth.store import TenantUnit

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
