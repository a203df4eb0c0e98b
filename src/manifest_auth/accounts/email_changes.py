"""Changes of email addresses: requested, confirmed from the new mailbox, and undone from the old one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, insert, or_, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts import one_time_links, users
from manifest_auth.accounts.mail_queue import AccountRequest, reader
from manifest_auth.accounts.provisioning import managed
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict
from manifest_auth.runtime.mail import emails
from manifest_auth.runtime.settings import DAY
from manifest_auth.store import SystemUnit, TenantUnit, among, columns, cross_tenant, numbers, tenant_scoped
from manifest_auth.store.tables import email_changes
from manifest_auth.text import fields
from manifest_auth.text.canonical import email_key, when
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy

# The key is the hash of the token that was emailed to the new address. ``undo_key`` is the hash of another token, which
# was emailed to the old address. Callers check whether the client and the user are still active.

CONFIRM_S = DAY
UNDO_S = 7 * DAY


class EmailChange(NamedTuple):
    """An email change. ``started_by`` is the actor, as in the audit trail. After ``closed_at``, it can't be confirmed
    or undone."""

    tenant_id: int
    key: str
    user_id: int
    old_email: str
    old_proved_at: int | None
    new_email: str
    started_by: str
    undo_key: str | None
    created_at: int
    expires_at: int
    confirmed_at: int | None
    closed_at: int | None
    undo_expires_at: int | None

    def is_pending(self, now: int) -> bool:
        """Whether the new address can be confirmed."""
        return self.confirmed_at is None and self.closed_at is None and self.expires_at > now

    def can_be_undone(self, now: int) -> bool:
        """Whether the old address can be restored."""
        return self.confirmed_at is not None and self.closed_at is None and (self.undo_expires_at or 0) > now


_C = email_changes.c
_ALL = select(*(_C[name] for name in EmailChange._fields))
_PENDING = (_C.confirmed_at.is_(None), _C.closed_at.is_(None), _C.expires_at > bindparam("now"))
_NEW = columns("key user_id old_email old_proved_at new_email started_by created_at expires_at")
_ADD = tenant_scoped(insert(email_changes).values({name: bindparam(name) for name in _NEW}))
_BY_KEY = tenant_scoped(_ALL.where(_C.key == bindparam("key")), EmailChange)
_ANYWHERE = cross_tenant(
    _ALL.where(or_(_C.key == bindparam("key"), _C.undo_key == bindparam("key"))),
    EmailChange,
    because="a request with a link has only its token; the token names the tenant",
)
_PENDING_CHANGES = tenant_scoped(
    _ALL.where(among(_C.user_id, "ids"), _C.confirmed_at.is_(None), _C.closed_at.is_(None)), EmailChange
)
_CONFIRM = tenant_scoped(
    update(email_changes)
    .where(_C.key == bindparam("of_key"), *_PENDING)
    .values(confirmed_at=bindparam("now"), undo_key=bindparam("undo"), undo_expires_at=bindparam("until"))
)
_LATEST = tenant_scoped(
    _ALL.where(
        _C.user_id == bindparam("of_user"),
        _C.confirmed_at.is_not(None),
        _C.closed_at.is_(None),
        _C.undo_expires_at > bindparam("now"),
    )
    .order_by(_C.confirmed_at.desc(), _C.created_at.desc())
    .limit(1),
    EmailChange,
)
_DONE = tenant_scoped(
    update(email_changes)
    .where(_C.key == bindparam("of_key"))
    .values(confirmed_at=bindparam("now"), undo_expires_at=bindparam("until"))
)
_CLOSING = update(email_changes).where(_C.user_id == bindparam("of_user"), _C.closed_at.is_(None))
_CLOSING = _CLOSING.values(closed_at=bindparam("now"))
_CLOSE_PENDING = tenant_scoped(_CLOSING.where(_C.confirmed_at.is_(None)))
_CLOSE_SINCE = tenant_scoped(_CLOSING.where(or_(_C.confirmed_at.is_(None), _C.confirmed_at >= bindparam("since"))))
_CLOSE_ALL = tenant_scoped(_CLOSING)


def key_of(token: str) -> str:
    """The stored hash of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def add(unit: TenantUnit, user: User, new_email: str, token: str, started_by: str, now: int) -> int:
    """Stores a pending change, and closes any earlier pending one. Returns when it expires, in milliseconds."""
    close_pending(unit, user.id, now)
    expires_at = now + CONFIRM_S * 1000
    unit.change(
        _ADD,
        key=key_of(token),
        user_id=user.id,
        old_email=user.email,
        old_proved_at=user.email_proved_at,
        new_email=new_email,
        started_by=started_by,
        created_at=now,
        expires_at=expires_at,
    )
    return expires_at


def add_done(unit: TenantUnit, user: User, new_email: str, token: str, started_by: str, now: int) -> None:
    """Stores a change that took effect immediately because mail isn't set up. No link can undo it. ``user`` is the user
    before the change. ``token`` is random, and nobody receives it."""
    add(unit, user, new_email, token, started_by, now)
    unit.change(_DONE, of_key=key_of(token), until=now + UNDO_S * 1000, now=now)


def latest(unit: TenantUnit, user_id: int, now: int) -> EmailChange | None:
    """Returns the change that set the user's current address, if it is less than a week old and wasn't closed."""
    return unit.first(_LATEST, of_user=user_id, now=now)


def find_in_any_tenant(unit: SystemUnit, token: str) -> EmailChange | None:
    """Returns a change of any tenant, open or not, by its confirmation token or its undo token; None if there is
    none."""
    return unit.first(_ANYWHERE, key=key_of(token))


def get(unit: TenantUnit, key: str) -> EmailChange:
    """Returns the current state of an existing change."""
    found = unit.first(_BY_KEY, key=key)
    assert found is not None
    return found


def pending_rows(unit: TenantUnit, ids: Sequence[int]) -> dict[int, EmailChange]:
    """The unconfirmed changes by user ID, at most one per user. They might be expired."""
    return {row.user_id: row for row in unit.all(_PENDING_CHANGES, ids=numbers(ids))}


def pending_addresses(unit: TenantUnit, ids: Sequence[int], now: int) -> dict[int, str]:
    """The addresses that can still be confirmed, by user ID."""
    return {user_id: row.new_email for user_id, row in pending_rows(unit, ids).items() if row.is_pending(now)}


def confirm(unit: TenantUnit, change: EmailChange, undo_token: str, now: int) -> bool:
    """Confirms a change. Returns False if it is no longer pending. If called concurrently, only one call returns
    True."""
    return unit.change(_CONFIRM, of_key=change.key, undo=key_of(undo_token), until=now + UNDO_S * 1000, now=now) == 1


def close_pending(unit: TenantUnit, user_id: int, now: int) -> int:
    """Closes pending changes. Confirmed ones can still be undone. Returns how many there were."""
    return unit.change(_CLOSE_PENDING, of_user=user_id, now=now)


def close_since(unit: TenantUnit, change: EmailChange, now: int) -> int:
    """Closes a confirmed change, every later one, and pending ones. An attacker who set the first address can't confirm
    or undo any of the others."""
    return unit.change(_CLOSE_SINCE, of_user=change.user_id, since=change.confirmed_at, now=now)


def close_all(unit: TenantUnit, user_id: int, now: int) -> int:
    """Closes all changes of a user, so that none can be confirmed or undone. Returns how many there were."""
    return unit.change(_CLOSE_ALL, of_user=user_id, now=now)


#: The maximum number of changes per day that a client can start for one user, and for one address, to avoid flooding
#: mailboxes. Each client has separate counters, so that no client can use up another's attempts.
FLOOD = Policy(free=5, longest_ms=15 * 60_000, memory_ms=DAY * 1000, ceiling=20)


class Started(NamedTuple):
    """A change that is waiting for confirmation."""

    email: str
    expires_at: int


def start(unit: TenantUnit, request: AccountRequest, user: User, email: str, *, own: bool = False) -> Started:
    """Queues emails to both mailboxes, and closes any earlier pending change. Requires mail. ``user`` must be locked.
    ``own`` means that the user requested the change: the response then doesn't reveal that the address is taken, but an
    email notifies the address's mailbox.

    Raises ValidationError, RateLimited, or Conflict for a deactivated user, and for a taken address unless ``own`` is
    set.
    """
    subject = f"user:{user.id}"
    fields.EMAIL.check(email, "email")
    managed.check(unit, request, user.id)
    if user.deactivated_at is not None:
        raise Conflict(_("The user is deactivated"))
    other = users.find_by_email(unit, email)
    taken = other is not None and other.id != user.id
    if taken and not own:
        raise Conflict(_("A user with this email address already exists"))
    _count(unit, request, user, email)
    token, tenant = request.services.random.text(24), tenants.get(unit, unit.tenant_id)
    expires_at = add(unit, user, email, token, request.caller.actor, request.now)
    change = {"before": {"email": user.email}, "after": {"email": email}}
    audit.record(unit, request, Event.EMAIL_CHANGE_STARTED, subject, taken=taken, expires=when(expires_at), **change)
    link = emails.Link(one_time_links.address(request.services.settings.public_url, token), CONFIRM_S)
    asking = emails.email_confirm(reader(user, tenant, email), link)
    if other is not None and taken:  # it gets no token, so the change can't be confirmed
        asking = emails.email_taken(reader(other, tenant))
    queue = request.services.mail_queue
    queue.add(unit, request, asking, "email_confirm", subject)
    queue.add(unit, request, emails.email_asked(reader(user, tenant)), "email_asked", subject)
    return Started(email, expires_at)


def _count(unit: TenantUnit, request: AccountRequest, user: User, email: str) -> None:
    to = hashlib.sha256(email_key(email).encode()).hexdigest()
    keys = (
        throttle.span_key("email_change", *of, now=request.now, span_s=DAY)
        for of in (("of", unit.tenant_id, user.id), ("to", unit.tenant_id, to))
    )
    one_time_links.count_emails(unit, request, "change", [Counter(key, FLOOD) for key in sorted(keys)])
