"""Start of an e-mail change: the new mailbox gets a link to confirm it, and the old one a notice."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts import one_time_links, users
from manifest_auth.accounts.account_tools import AccountTools
from manifest_auth.accounts.readers import reader
from manifest_auth.accounts.users import User, email_changes
from manifest_auth.audit import Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict
from manifest_auth.runtime import mail
from manifest_auth.runtime.settings import DAY
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.canonical import email_key, when
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Wait

#: How many changes a day a client may start for one user, and for one address: a mailbox must not be flooded. Each
#: client has its own counters, so that none uses up another's attempts.
FLOOD = Policy(free=5, longest_ms=15 * 60_000, memory_ms=DAY * 1000, ceiling=20)


class Started(NamedTuple):
    """A change that waits for confirmation."""

    email: str
    expires_at: int


def start(
    unit: TenantUnit, request: Request, tools: AccountTools, user: User, email: str, *, own: bool = False
) -> Started:
    """Queues e-mails to both mailboxes; an earlier pending change closes. Only where mail is set up. ``user``: locked.
    ``own``: requested by the user, whose answer does not reveal that the address is taken; its mailbox is told.

    Raises ValidationError, RateLimited, Conflict for a deactivated user, and for a taken address that is not ``own``.
    """
    subject = f"user:{user.id}"
    fields.EMAIL.check(email, "email")
    if user.deactivated_at is not None:
        raise Conflict("The user is deactivated")
    other = users.find_by_email(unit, email)
    taken = other is not None and other.id != user.id
    if taken and not own:
        raise Conflict(_("A user with this e-mail exists"))
    _count(unit, request, tools, user, email)
    token, tenant = tools.random.text(24), tenants.get(unit, unit.tenant_id)
    expires_at = email_changes.add(unit, user, email, token, request.caller.actor, request.now)
    change = {"before": {"email": user.email}, "after": {"email": email}}
    audit.record(unit, request, Event.EMAIL_CHANGE_STARTED, subject, taken=taken, expires=when(expires_at), **change)
    link = mail.Link(one_time_links.address(tools.settings.public_url, token), email_changes.CONFIRM_S)
    asking = mail.email_confirm(reader(user, tenant, email), link)
    if other is not None and taken:  # it gets no token, so that change cannot be confirmed
        asking = mail.email_taken(reader(other, tenant))
    tools.mail_queue.add(unit, request, asking, "email_confirm", subject)
    tools.mail_queue.add(unit, request, mail.email_asked(reader(user, tenant)), "email_asked", subject)
    return Started(email, expires_at)


def _count(unit: TenantUnit, request: Request, tools: AccountTools, user: User, email: str) -> None:
    if not tools.throttle.is_on:
        return
    to = hashlib.sha256(email_key(email).encode()).hexdigest()
    keys = (
        throttle.span_key("email_change", *of, now=request.now, span_s=DAY)
        for of in (("of", unit.tenant_id, user.id), ("to", unit.tenant_id, to))
    )
    blocked = throttle.count_each(unit, [Counter(key, FLOOD) for key in sorted(keys)], request.now)
    if blocked is not None:
        raise tools.throttle.refusal("change", Wait(blocked.ms, "account"))
