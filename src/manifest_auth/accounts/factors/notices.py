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

_Write = Callable[[str, str, str, dict[str, Any]], Email]
_EMAILS: dict[Event, _Write] = {
    Event.SECOND_FACTOR_ENROLLED: lambda to, client, address, of: mail.factor_added(to, client, address, of["factor"]),
    Event.SECOND_FACTOR_REMOVED: lambda to, client, address, of: mail.factor_removed(to, client, address, of["factor"]),
    Event.PASSKEY_ADDED: lambda to, client, address, _of: mail.factor_added(to, client, address, "passkey"),
    Event.PASSKEY_REMOVED: lambda to, client, address, _of: mail.factor_removed(to, client, address, "passkey"),
    Event.RECOVERY_CODES_MADE: lambda to, client, address, _of: mail.recovery_codes_made(to, client, address),
    Event.RECOVERY_CODE_USED: lambda to, client, address, _of: mail.recovery_code_used(to, client, address),
    Event.SECOND_FACTOR_RESET: lambda to, client, _address, _of: mail.factors_reset(to, client),
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
    return queue.add(unit, _EMAILS[event](user.email, client, acting.origin.address, detail), event.value, subject)
