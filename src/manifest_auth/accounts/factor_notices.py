"""Records what happens to a user's second factors, and tells the user by e-mail: both in one call, so neither is left
out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifest_auth import audit, tenants
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Acting
from manifest_auth.mail_queue import MailQueue, Queued
from manifest_auth.runtime import mail
from manifest_auth.runtime.mail import Email
from manifest_auth.store import TenantUnit

_Write = Callable[[str, str, str, str], Email]
_EMAILS: dict[Event, _Write] = {
    Event.SECOND_FACTOR_ENROLLED: lambda to, client, address, factor: mail.factor_enrolled(
        to, client, address, is_passkey=factor == "passkey"
    ),
    Event.SECOND_FACTOR_REMOVED: lambda to, client, address, factor: mail.factor_removed(
        to, client, address, is_passkey=factor == "passkey"
    ),
    Event.PASSKEY_ADDED: lambda to, client, address, _: mail.factor_enrolled(to, client, address, is_passkey=True),
    Event.PASSKEY_REMOVED: lambda to, client, address, _: mail.factor_removed(to, client, address, is_passkey=True),
    Event.RECOVERY_CODES_MADE: lambda to, client, address, _: mail.recovery_codes_made(to, client, address),
    Event.SECOND_FACTOR_RESET: lambda to, client, _address, _: mail.factors_reset(to, client),
}


def tell(unit: TenantUnit, acting: Acting, queue: MailQueue, user: User, event: Event, **detail: Any) -> Queued | None:
    """Records one of the events above, and queues its e-mail to the user's address; the caller sends it after the
    commit. ``detail``: of the event, for ``second_factor_enrolled`` and ``second_factor_removed`` with the
    ``factor``."""
    subject = f"user:{user.id}"
    audit.record(unit, acting, event, subject, **detail)
    if not queue.is_set_up:
        return None
    client = tenants.get(unit, unit.tenant_id).name
    return queue.add(
        unit, _EMAILS[event](user.email, client, acting.origin.address, detail.get("factor", "")), event.value, subject
    )
