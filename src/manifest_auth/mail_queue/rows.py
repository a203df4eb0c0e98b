"""Rows of the e-mail queue.

One process at a time tries a row: it advances the row's next attempt first.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import queued_mails, sealed_for, tenants
from manifest_auth.text.canonical import when

LEASE_MS = 15_000  # for the first attempt, by the process that queued the e-mail
LIFE_MS = 3_600_000
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 60_000, 900_000
_OF_ONE_CLIENT = 2  # in one batch, so that one client's failing e-mails do not delay others


class Row(NamedTuple):
    """``mail``: sealed."""

    tenant_id: int
    id: str
    purpose: str
    subject: str
    mail: bytes
    tries: int
    created_at: int
    next_try_at: int
    expires_at: int


class _Ended(NamedTuple):
    """An e-mail that is not tried any more, as the trail tells of it."""

    subject: str
    purpose: str
    tries: int
    created_at: int


_C = queued_mails.c
_ADD = tenant_scoped(
    insert(queued_mails).values({name: bindparam(name) for name in Row._fields if name != "tenant_id"})
)
_AS_SEEN = (_C.id == bindparam("of_id"), _C.next_try_at == bindparam("seen"))
_TAKE = tenant_scoped(update(queued_mails).where(*_AS_SEEN).values(next_try_at=bindparam("until"), tries=_C.tries + 1))
_ENDED = tuple(_C[name] for name in _Ended._fields)
_GIVE_UP = tenant_scoped(delete(queued_mails).where(*_AS_SEEN).returning(*_ENDED), _Ended)
_END = tenant_scoped(delete(queued_mails).where(_C.id == bindparam("of_id")).returning(*_ENDED), _Ended)
_DROP = tenant_scoped(delete(queued_mails).where(_C.id == bindparam("of_id")))
_place = func.row_number().over(partition_by=_C.tenant_id, order_by=_C.next_try_at).label("place")
_ready = (  # e-mails of a suspended client wait until it is restored, or they expire
    select(*(_C[name] for name in Row._fields), _place)
    .join(tenants, tenants.c.id == _C.tenant_id)
    .where(_C.next_try_at <= bindparam("now"), or_(tenants.c.suspended_at.is_(None), _C.expires_at <= bindparam("now")))
    .subquery()
)
_DUE = cross_tenant(
    select(*(_ready.c[name] for name in Row._fields))
    .where(_ready.c.place <= _OF_ONE_CLIENT)
    .order_by(_ready.c.next_try_at)
    .limit(bindparam("limit")),
    Row,
    because="e-mails of all clients are retried",
)
_REFUSED = cross_tenant(
    select(func.count()).select_from(queued_mails).where(_C.tries > 1),
    int,
    because="system admins see whether e-mails go out",
)


def add(unit: TenantUnit, row: Row) -> None:
    unit.change(_ADD, **{name: value for name, value in row._asdict().items() if name != "tenant_id"})


def due(unit: SystemUnit, now: int, limit: int) -> list[Row]:
    """E-mails whose next attempt is due, a few of each client."""
    return unit.all(_DUE, now=now, limit=limit)


def not_accepted(unit: SystemUnit) -> int:
    """How many e-mails wait that the mail server did not accept at the first attempt."""
    return unit.first(_REFUSED) or 0


def take(unit: TenantUnit, row: Row, now: int) -> bool:
    """Reserves the row for this process until the next attempt. False when another process was first."""
    pause = min(_FIRST_PAUSE_MS << min(row.tries - 1, 10), _LONGEST_PAUSE_MS)
    return unit.change(_TAKE, of_id=row.id, seen=row.next_try_at, until=now + pause) == 1


def give_up(unit: TenantUnit, row: Row, now: int) -> None:
    """Deletes an expired e-mail, and records that it was not delivered."""
    _record(unit, unit.first(_GIVE_UP, of_id=row.id, seen=row.next_try_at), now)


def refused(unit: TenantUnit, key: str, code: int, now: int) -> None:
    """Deletes an e-mail that the mail server refused for good, and records that, with its reply code."""
    _record(unit, unit.first(_END, of_id=key), now, refused=code)


def _record(unit: TenantUnit, ended: _Ended | None, now: int, **more: int) -> None:
    """``ended``: None where another process was first."""
    if ended is not None:
        detail = {"purpose": ended.purpose, "tries": ended.tries, "since": when(ended.created_at), **more}
        audit.record(unit, Origin(now, "system", "", "mail-queue"), Event.MAIL_FAILED, ended.subject, **detail)


def drop(unit: TenantUnit, key: str) -> None:
    """Deletes an e-mail that the mail server accepted."""
    unit.change(_DROP, of_id=key)


def row_name(tenant_id: int, key: str) -> str:
    """The name that the e-mail of a row is sealed for, so that it opens in no other row."""
    return sealed_for(_C.mail, tenant_id=tenant_id, id=key)
