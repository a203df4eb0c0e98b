"""Emails to users: recipient and language, notices about their factors, and the queue of all outgoing emails.

Owns ``queued_mails``. An email is sent immediately after the commit, and retried later if the mail server didn't accept
it. Permanent rejections aren't retried. To ensure that only one process tries a row, each first advances the row's next
attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import orjson
from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Acting, Request
from manifest_auth.errors import NotFound
from manifest_auth.licence import SeatCounter
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.logs import FilteringBoundLogger
from manifest_auth.runtime.mail import BACKGROUND_BUDGET_S, PRODUCT, Email, Look, Mail, Reader, emails
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import Store, StoreUnavailable, SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import queued_mails, sealed_for
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import Tenant, brand_assets
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import LANGUAGES
from manifest_auth.throttle import Throttle

LEASE_MS = 15_000  # for the first attempt, by the process that queued the email
LIFE_MS = 3_600_000
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 60_000, 900_000
#: The purpose of an email that is in a client's queue, but doesn't use the client's branding.
TO_OPERATOR = "operator"
_LARGEST_LOGO = 64 * 1024  # of an email, in bytes; pages take four times as much
_OF_ONE_CLIENT = 2  # per batch, so that one client's failing emails don't delay others


class MailRow(NamedTuple):
    """A queued email. ``mail`` is sealed."""

    tenant_id: int
    id: str
    purpose: str
    subject: str
    mail: bytes
    tries: int
    created_at: int
    next_try_at: int
    expires_at: int


_C = queued_mails.c
_ADD = tenant_scoped(
    insert(queued_mails).values({name: bindparam(name) for name in MailRow._fields if name != "tenant_id"})
)
_AS_SEEN = (_C.id == bindparam("of_id"), _C.next_try_at == bindparam("seen"))
_TAKE = tenant_scoped(update(queued_mails).where(*_AS_SEEN).values(next_try_at=bindparam("until"), tries=_C.tries + 1))
_ROW = tuple(_C[name] for name in MailRow._fields)
_GIVE_UP = tenant_scoped(delete(queued_mails).where(*_AS_SEEN).returning(*_ROW), MailRow)
_END = tenant_scoped(delete(queued_mails).where(_C.id == bindparam("of_id")).returning(*_ROW), MailRow)
_DROP = tenant_scoped(delete(queued_mails).where(_C.id == bindparam("of_id")))
_place = func.row_number().over(partition_by=_C.tenant_id, order_by=_C.next_try_at).label("place")
_ready = (  # emails of a suspended client wait until it is restored, or until they expire
    select(*_ROW, _place)
    .join(tenants_table, tenants_table.c.id == _C.tenant_id)
    .where(
        _C.next_try_at <= bindparam("now"),
        or_(tenants_table.c.suspended_at.is_(None), _C.expires_at <= bindparam("now")),
    )
    .subquery()
)
_DUE = cross_tenant(
    select(*(_ready.c[name] for name in MailRow._fields))
    .where(_ready.c.place <= _OF_ONE_CLIENT)
    .order_by(_ready.c.next_try_at)
    .limit(bindparam("limit")),
    MailRow,
    because="one job retries the emails of all clients",
)
_REFUSED = cross_tenant(
    select(func.count()).select_from(queued_mails).where(_C.tries > 1),
    int,
    because="system admins see whether emails are sent",
)


def add(unit: TenantUnit, row: MailRow) -> None:
    unit.change(_ADD, **{name: value for name, value in row._asdict().items() if name != "tenant_id"})


def due(unit: SystemUnit, now: int, limit: int) -> list[MailRow]:
    """Emails that are due for their next attempt, a few per client."""
    return unit.all(_DUE, now=now, limit=limit)


def not_accepted(unit: SystemUnit) -> int:
    """The number of waiting emails that the mail server didn't accept at the first attempt."""
    return unit.first(_REFUSED) or 0


def take(unit: TenantUnit, row: MailRow, now: int) -> bool:
    """Reserves the row for this process until the next attempt. Returns False if another process was first."""
    pause = min(_FIRST_PAUSE_MS << min(row.tries - 1, 10), _LONGEST_PAUSE_MS)
    return unit.change(_TAKE, of_id=row.id, seen=row.next_try_at, until=now + pause) == 1


def refused(unit: TenantUnit, key: str, code: int, now: int) -> None:
    """Deletes an email that the mail server permanently rejected, and records this with its reply code."""
    _record(unit, unit.first(_END, of_id=key), now, refused=code)


def _record(unit: TenantUnit, ended: MailRow | None, now: int, **more: int) -> None:
    """Records that an email was given up. ``ended`` is None if another process sent it first."""
    if ended is not None:
        detail = {"purpose": ended.purpose, "tries": ended.tries, "since": when(ended.created_at), **more}
        audit.record(unit, Origin(now, "system", "", "mail-queue"), Event.MAIL_FAILED, ended.subject, **detail)


def drop(unit: TenantUnit, key: str) -> None:
    """Deletes an email that the mail server accepted."""
    unit.change(_DROP, of_id=key)


def row_name(tenant_id: int, key: str) -> str:
    """The name under which a row's email is sealed, so that it can't be opened in any other row."""
    return sealed_for(_C.mail, tenant_id=tenant_id, id=key)


EVERY_S = 5.0
#: The maximum duration of the first attempt. It ends before other processes can take the email.
FIRST_S = 10.0
BATCH = 8
assert FIRST_S * 1000 < LEASE_MS


class Queued(NamedTuple):
    """A stored email and its content."""

    tenant_id: int
    id: str
    purpose: str
    email: Email


class MailQueue:
    """Adds emails to the queue, and sends them."""

    def __init__(
        self, mail: Mail, store: Store, sealer: Sealer, clock: Clock, random: Random, log: FilteringBoundLogger
    ) -> None:
        self._mail, self._store, self._sealer = mail, store, sealer
        self._clock, self._random, self._log = clock, random, log
        self._sending: dict[str, asyncio.Task[bool]] = {}  # by ID, while a caller might wait for it

    @property
    def is_set_up(self) -> bool:
        """Whether a mail server is configured."""
        return self._mail.is_set_up

    def add(
        self, unit: TenantUnit, acting: Acting, email: Email, purpose: str, subject: str, *, useful_ms: int = LIFE_MS
    ) -> Queued | None:
        """Queues an email in the transaction that causes it, and sends it after the commit. Returns None if mail isn't
        set up.

        ``purpose`` is a label for the audit trail, ``subject`` is a name like ``user:5``, and ``useful_ms`` is how long
        to retry, at most an hour. If this process dies first, another one sends the email.
        """
        if not self.is_set_up:
            return None
        now, key = self._clock.now_ms(), self._random.text(16)
        sealed = self._sealer.seal(orjson.dumps(email._asdict()), row_name(unit.tenant_id, key))
        expires_at = now + min(useful_ms, LIFE_MS)
        add(
            unit,
            MailRow(
                tenant_id=unit.tenant_id,
                id=key,
                purpose=purpose,
                subject=subject,
                mail=sealed,
                tries=1,
                created_at=now,
                next_try_at=now + LEASE_MS,
                expires_at=expires_at,
            ),
        )
        queued, request_id = Queued(unit.tenant_id, key, purpose, email), acting.origin.request_id
        unit.after_commit(lambda: self._send(queued, request_id))
        return queued

    async def delivered(self, request: Request, queued: Queued | None) -> bool:
        """Whether the mail server accepted a committed email while the caller waited, which is at most a few seconds
        for all emails of one request. A slower email continues in the background, and a failed one is retried later."""
        task = self._sending.get(queued.id) if queued is not None else None
        if task is None:
            return False
        if request.mail_until is None:
            request.mail_until = self._mail.deadline()
        left = request.mail_until - asyncio.get_running_loop().time()
        await asyncio.wait([task], timeout=max(0.0, left))
        return task.done() and not task.cancelled() and task.exception() is None and task.result()

    def _send(self, queued: Queued, request_id: str) -> None:
        task = self._mail.in_background(self._try(queued, FIRST_S, request_id))
        self._sending[queued.id] = task
        asyncio.get_running_loop().call_later(FIRST_S, self._sending.pop, queued.id, None)

    async def _try(self, mail: Queued, seconds: float, request_id: str) -> bool:
        store, deadline = self._store.of(mail.tenant_id), self._mail.deadline(seconds)
        look = PRODUCT
        if mail.purpose != TO_OPERATOR:
            with contextlib.suppress(NotFound, StoreUnavailable):  # the email matters more than its branding
                look = await store.read(look_of)
        failed = await self._mail.send(mail.email, deadline, request_id, mail.id, look)
        now = self._clock.now_ms()
        if failed is None:
            await store.write_quickly(lambda unit: drop(unit, mail.id))
        elif failed.refused:
            await store.write(lambda unit: refused(unit, mail.id, failed.refused, now))
        return failed is None

    async def run(self) -> None:
        """Retries until canceled. It is a separate task, so that an unresponsive mail server doesn't delay other
        background jobs."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                self._log.info("mail_queue_failed", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and the queue continues
                self._log.exception("mail_queue_failed")
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> None:
        """Sends all due emails once, and drops expired ones. Raises StoreUnavailable."""
        while True:
            now = await self._store.now_ms(self._clock)
            if not (found := await self._store.read(lambda unit: due(unit, now, BATCH))):  # noqa: B023 - awaited
                return
            await asyncio.gather(*(self._try_again(row, now) for row in found))

    async def _try_again(self, row: MailRow, now: int) -> None:
        store = self._store.of(row.tenant_id)
        if row.expires_at <= now:
            seen = row.next_try_at
            await store.write(lambda unit: _record(unit, unit.first(_GIVE_UP, of_id=row.id, seen=seen), now))
            return
        if await store.write_quickly(lambda unit: take(unit, row, now)):
            # It was sealed with another secret key, which might be restored within the hour.
            with contextlib.suppress(CannotOpen):
                await self._try(self._opened(row), BACKGROUND_BUDGET_S, "mail-queue")

    def _opened(self, row: MailRow) -> Queued:
        members = orjson.loads(self._sealer.open(row.mail, row_name(row.tenant_id, row.id)))
        return Queued(row.tenant_id, row.id, row.purpose, Email(**members))


class AccountServices(Protocol):
    """The services that account management uses. ``seats`` counts the license's seats."""

    settings: Settings
    random: Random
    sealer: Sealer
    seats: SeatCounter
    mail_queue: MailQueue
    throttle: Throttle
    outgoing: Outgoing


class AccountRequest(Request):
    """A request with the services of account management: a :class:`.services.RequestContext` with all of them."""

    __slots__ = ()
    services: AccountServices


def reader(user: User, tenant: Tenant, email: str = "") -> Reader:
    """Returns the recipient: a user, with the chosen language, the client's default, or English. ``email`` overrides
    the current address."""
    wanted = (user.language, tenants.settings_of(tenant.settings).language)
    return Reader(email or user.email, next((tag for tag in wanted if tag in LANGUAGES), "en"), tenant.name)


def look_of(unit: TenantUnit) -> Look:
    """The branding of the client's emails. Raises NotFound."""
    tenant, found = tenants.get(unit, unit.tenant_id), brand_assets.bytes_of(unit)
    brand = tenants.settings_of(tenant.settings).branding
    colors = brand_assets.palette_of(brand.accent)._asdict() if brand.accent else {}
    logo = found[1] if found is not None and len(found[1]) <= _LARGEST_LOGO else b""
    return PRODUCT._replace(name=brand.name or tenant.name, logo=logo, **colors)


_EMAILS: dict[Event, Callable[[Reader, str], Email]] = {
    Event.SECOND_FACTOR_ENROLLED: emails.app_added,
    Event.SECOND_FACTOR_REMOVED: emails.app_removed,
    Event.RECOVERY_CODES_MADE: emails.recovery_codes_made,
    Event.PASSKEY_ADDED: emails.passkey_added,
    Event.PASSKEY_REMOVED: emails.passkey_removed,
    Event.PASSKEY_COUNTER_REGRESSED: emails.passkey_copied,
    Event.SECOND_FACTOR_RESET: lambda to, _address: emails.factors_reset(to),
    Event.BADGE_ISSUED: lambda to, _address: emails.badge_issued(to),
    Event.BADGE_PIN_RESET: lambda to, _address: emails.pin_reset(to),
    Event.BADGE_PIN_SET: emails.pin_set,
    Event.IDENTITY_LINKED: emails.identity_linked,
    Event.CHANGED_PROVIDER_USED: emails.changed_provider_used,
}


def tell(unit: TenantUnit, request: AccountRequest, user: User, event: Event, **detail: Any) -> None:
    """Records one of the events above, and queues its email to the user's address. Both happen, or neither. ``detail``
    belongs to the event."""
    subject, queue = f"user:{user.id}", request.services.mail_queue
    audit.record(unit, request, event, subject, **detail)
    if not queue.is_set_up:
        return
    email = _EMAILS[event](reader(user, tenants.get(unit, unit.tenant_id)), request.address)
    queue.add(unit, request, email, event.value, subject)
