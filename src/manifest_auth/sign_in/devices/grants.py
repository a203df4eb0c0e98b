"""Rows of grants: devices that wait for a person, from their request to their session.

A grant is ``pending``, then ``denied`` or ``approved``, and ``used`` once its device has a session. Each step is one
conditional statement, so of several at once one happens.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, func, or_, select, update

from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import device_grants
from manifest_auth.store.tables.devices import APPROVED, DENIED, PENDING, USED

#: How long an approved grant waits for its device at least, milliseconds.
_LEFT_MS = 60_000
_C = device_grants.c


class Grant(NamedTuple):
    """``key``: SHA-256 of the device code; ``user_code``: as it is stored, None by scanning; ``digits``: that the
    device shows, empty by code; ``interval_s``: between two polls; times in milliseconds."""

    key: str
    user_code: str | None
    app_id: str
    device_name: str
    address: str
    user_agent: str
    digits: str
    state: str
    user_id: int | None
    role_cap: int | None
    provider_id: int | None
    session_ends_at: int | None
    session_id: str | None
    answered_at: int | None
    interval_s: int
    polled_at: int | None
    created_at: int
    expires_at: int


class Waiting(NamedTuple):
    """A pending grant, and the address from which its device asked."""

    key: str
    address: str


class Approval(NamedTuple):
    """Who lets a device in. ``role_cap``: bit mask of the roles that it gets; ``session_ends_at``: milliseconds;
    ``provider_id``: that opened the session of the user."""

    user_id: int
    role_cap: int
    session_ends_at: int
    provider_id: int | None


_ALL = select(*(_C[name] for name in Grant._fields))
_ADD = tenant_scoped(
    upsert(device_grants)
    .values({name: bindparam(name) for name in Grant._fields})
    .on_conflict_do_nothing(index_elements=["tenant_id", "user_code"])
)
_FIND = tenant_scoped(_ALL.where(_C.key == bindparam("key")), Grant)
_BY_USER_CODE = tenant_scoped(
    _ALL.where(_C.user_code == bindparam("user_code"), _C.state == PENDING, _C.expires_at > bindparam("now")),
    Grant,
)
_OPEN = tenant_scoped(
    select(func.count())
    .select_from(device_grants)
    .where(_C.app_id == bindparam("of_app"), _C.expires_at > bindparam("now"), _C.state == PENDING),
    int,
)
_WAITING = tenant_scoped(
    select(_C.key, _C.address)
    .where(_C.app_id == bindparam("of_app"), _C.expires_at > bindparam("now"), _C.state == PENDING)
    .order_by(_C.created_at, _C.key),
    Waiting,
)
_POLLED = tenant_scoped(
    update(device_grants)
    .where(_C.key == bindparam("of_key"))
    .values(polled_at=bindparam("now"), interval_s=bindparam("interval"), expires_at=bindparam("until"))
)
_LIVING = (_C.key == bindparam("of_key"), _C.expires_at > bindparam("now"))
_APPROVE = tenant_scoped(
    update(device_grants)
    .where(*_LIVING, _C.state == PENDING)
    .values(
        state=APPROVED, user_code=None, user_id=bindparam("by"), role_cap=bindparam("cap"),
        provider_id=bindparam("provider"), approved_at=bindparam("now"), session_ends_at=bindparam("ends_at"),
        expires_at=bindparam("until"),
    )
)  # fmt: skip
_END = tenant_scoped(update(device_grants).where(*_LIVING, _C.state == PENDING).values(expires_at=bindparam("now")))
_DENIABLE = or_(_C.state == PENDING, _C.state == APPROVED)
_DENY = tenant_scoped(update(device_grants).where(*_LIVING, _DENIABLE).values(state=DENIED, user_code=None))
_USE = tenant_scoped(
    update(device_grants).where(*_LIVING, _C.state == APPROVED).values(state=USED, answered_at=bindparam("now"))
)
_SESSION = tenant_scoped(update(device_grants).where(_C.key == bindparam("of_key")).values(session_id=bindparam("sid")))


def add(unit: TenantUnit, grant: Grant) -> bool:
    """Adds a grant. False where its user code is taken."""
    return unit.change(_ADD, **grant._asdict()) == 1


def find(unit: TenantUnit, key: str) -> Grant | None:
    """The grant of a key, whatever its state."""
    return unit.first(_FIND, key=key)


def find_by_user_code(unit: TenantUnit, marks: list[str], now: int) -> Grant | None:
    """The pending grant of a user code. ``marks``: how the code may be stored."""
    found = (unit.first(_BY_USER_CODE, user_code=mark, now=now) for mark in marks)
    return next((grant for grant in found if grant is not None), None)


def count_open(unit: TenantUnit, app_id: str, now: int) -> int:
    """How many devices of an app wait."""
    return unit.one(_OPEN, of_app=app_id, now=now)


def list_open(unit: TenantUnit, app_id: str, now: int) -> list[Waiting]:
    """The devices of an app that wait, the longest waiting first."""
    return unit.all(_WAITING, of_app=app_id, now=now)


def end(unit: TenantUnit, key: str, now: int) -> None:
    """Ends a pending grant: its device begins anew."""
    unit.change(_END, of_key=key, now=now)


def polled(unit: TenantUnit, key: str, interval_s: int, until: int, now: int) -> None:
    """Notes a poll, the interval from now on, and the end of the grant."""
    unit.change(_POLLED, of_key=key, interval=interval_s, until=until, now=now)


def approve(unit: TenantUnit, grant: Grant, by: Approval, now: int) -> bool:
    """Approves a pending grant; it lives a minute more at least. False where it is none any more."""
    until = max(grant.expires_at, now + _LEFT_MS)
    values = {"by": by.user_id, "cap": by.role_cap, "provider": by.provider_id, "ends_at": by.session_ends_at}
    return unit.change(_APPROVE, of_key=grant.key, **values, until=until, now=now) == 1


def deny(unit: TenantUnit, key: str, now: int) -> bool:
    """Denies a grant for good. False where it is used, denied or over."""
    return unit.change(_DENY, of_key=key, now=now) == 1


def use(unit: TenantUnit, key: str, now: int) -> bool:
    """Uses an approved grant. Of several polls at once one gets True; the others wait for its commit."""
    return unit.change(_USE, of_key=key, now=now) == 1


def opened(unit: TenantUnit, key: str, session_id: str) -> None:
    """Stores the session of a used grant."""
    unit.change(_SESSION, of_key=key, sid=session_id)
