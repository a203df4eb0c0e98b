"""Records what happens to a user's factors, badges, PIN and identities, and tells the user by email.

Both in one call, so that none is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifest_auth import audit, tenants
from manifest_auth.accounts.readers import reader
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Acting
from manifest_auth.mail_queue.mail_queue import MailQueue
from manifest_auth.runtime import mail
from manifest_auth.runtime.mail import Email, Reader
from manifest_auth.store import TenantUnit

_EMAILS: dict[Event, Callable[[Reader, str], Email]] = {
    Event.SECOND_FACTOR_ENROLLED: mail.app_added,
    Event.SECOND_FACTOR_REMOVED: mail.app_removed,
    Event.RECOVERY_CODES_MADE: mail.recovery_codes_made,
    Event.PASSKEY_ADDED: mail.passkey_added,
    Event.PASSKEY_REMOVED: mail.passkey_removed,
    Event.PASSKEY_COUNTER_REGRESSED: mail.passkey_copied,
    Event.SECOND_FACTOR_RESET: lambda to, _address: mail.factors_reset(to),
    Event.BADGE_ISSUED: lambda to, _address: mail.badge_issued(to),
    Event.BADGE_PIN_RESET: lambda to, _address: mail.pin_reset(to),
    Event.BADGE_PIN_SET: mail.pin_set,
    Event.IDENTITY_LINKED: mail.identity_linked,
    Event.CHANGED_PROVIDER_USED: mail.changed_provider_used,
}


def tell(unit: TenantUnit, acting: Acting, queue: MailQueue, user: User, event: Event, **detail: Any) -> None:
    """Records one of the events above, and queues its e-mail to the user's address. ``detail``: of the event."""
    subject = f"user:{user.id}"
    audit.record(unit, acting, event, subject, **detail)
    if not queue.is_set_up:
        return
    email = _EMAILS[event](reader(user, tenants.get(unit, unit.tenant_id)), acting.origin.address)
    queue.add(unit, acting, email, event.value, subject)
