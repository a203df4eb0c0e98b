"""Pages of the trail, of one client or across all of them, by time. Bounded, however long the trail is.

The order is that of (time, chain, number), for which there is an index. Other filters have none: with them a page is
found in steps, each a read of its own that looks at ``STEP`` events, and after ``STEPS`` of them it ends as it is, with
a cursor to go on from. Indexes for them would be paid for at every sign-in. A total is counted in the same steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, Text, and_, bindparam, func, or_, select, tuple_

from manifest_auth.audit.chain import Link
from manifest_auth.audit.chain_rows import BEFORE_ALL, MOST
from manifest_auth.audit.chains import names_of
from manifest_auth.store import CrossTenant, Store, TenantScoped, TenantStore, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import audit_events

STEP = 5000
STEPS = 200
NEWEST_FIRST, OLDEST_FIRST = "newest", "oldest"


class Place(NamedTuple):
    """Where an event stands among all: a page begins behind one."""

    at: int
    chain: int
    sequence: int


class Wanted(NamedTuple):
    """Which events. Empty texts: any. ``user``: who acted or whom it concerns; ``until`` is no part of the time."""

    event: str = ""
    actor: str = ""
    subject: str = ""
    user: str = ""
    since: int = BEFORE_ALL
    until: int = MOST
    order: str = NEWEST_FIRST

    @property
    def is_any(self) -> bool:
        return not any(self.texts.values())

    @property
    def texts(self) -> dict[str, str]:
        """Parameters of the conditions for which there is no index."""
        return {"event": self.event, "actor": self.actor, "subject": self.subject, "user": self.user}

    @property
    def span(self) -> _Range:
        """Where they lie."""
        low = (
            Place(self.since - 1, MOST, MOST) if self.since > BEFORE_ALL else Place(BEFORE_ALL, BEFORE_ALL, BEFORE_ALL)
        )
        high = Place(MOST, MOST, MOST) if self.until == MOST else Place(self.until, BEFORE_ALL, BEFORE_ALL)
        return _Range(low, high)


class Found(NamedTuple):
    """An event, and the client that it belongs to; None: the installation, or a client that is gone."""

    chain: int
    client: str | None
    link: Link

    @property
    def place(self) -> Place:
        return Place(self.link.at, self.chain, self.link.sequence)


_E = audit_events.c
_KEY = (_E.at, _E.tenant_id, _E.sequence)
_ROW = (_E.tenant_id, *(_E[name] for name in Link._fields))
_WHY = "system admins read the trail of all clients"


def _edge(name: str) -> ColumnElement[Any]:
    return tuple_(*(bindparam(f"{name}_{part}", type_=BigInteger()) for part in ("at", "chain", "sequence")))


def _inside() -> ColumnElement[bool]:
    key = tuple_(*_KEY)
    return and_(key > _edge("low"), key < _edge("high"))


def _between(query: Select[Any], *, newest_first: bool) -> Select[Any]:
    query = query.where(_inside())
    return query.order_by(*(column.desc() if newest_first else column for column in _KEY)).limit(bindparam("limit"))


def _is(name: str, *columns: str) -> ColumnElement[bool]:
    wanted = bindparam(name, type_=Text())
    return or_(wanted == "", *(_E[column] == wanted for column in columns or (name,)))


_MATCHES = (_is("event"), _is("actor"), _is("subject"), _is("user", "actor", "subject"))


def _page(*, newest_first: bool) -> Select[Any]:
    return _between(select(*_ROW).where(*_MATCHES), newest_first=newest_first)


def _horizon(*, newest_first: bool) -> Select[Any]:
    """The event that is so many steps away."""
    return _between(select(*_KEY), newest_first=newest_first).offset(bindparam("offset"))


_MINE_NEWEST, _MINE_OLDEST = tenant_scoped(_page(newest_first=True)), tenant_scoped(_page(newest_first=False))
_MINE_FAR_NEWEST, _MINE_FAR_OLDEST = (tenant_scoped(_horizon(newest_first=newest), Place) for newest in (True, False))
_ALL_NEWEST, _ALL_OLDEST = (cross_tenant(_page(newest_first=newest), because=_WHY) for newest in (True, False))
_ALL_FAR_NEWEST, _ALL_FAR_OLDEST = (
    cross_tenant(_horizon(newest_first=newest), Place, because=_WHY) for newest in (True, False)
)
_COUNT = tenant_scoped(select(func.count()).select_from(audit_events).where(_inside(), *_MATCHES), int)
_PLACE = tenant_scoped(select(*_KEY).where(_E.sequence == bindparam("number")), Place)


class _Range(NamedTuple):
    """Events between two places, neither of them among it."""

    low: Place
    high: Place

    @property
    def values(self) -> dict[str, int]:
        low, high = self.low, self.high
        return {
            "low_at": low.at,
            "low_chain": low.chain,
            "low_sequence": low.sequence,
            "high_at": high.at,
            "high_chain": high.chain,
            "high_sequence": high.sequence,
        }


class _Asked(NamedTuple):
    """Events of a client, or of all; with the statements for it."""

    wanted: Wanted
    rows: TenantScoped[Any] | CrossTenant[Any]
    horizon: TenantScoped[Place] | CrossTenant[Place]

    @property
    def newest_first(self) -> bool:
        return self.wanted.order == NEWEST_FIRST


Page = tuple[list[Found], Place | None]


async def page(
    store: TenantStore, wanted: Wanted, first: int, after: Place | None = None, *, steps: int = STEPS
) -> Page:
    """At most ``first`` events of the store's client, and where the next page begins; None: this is the last. A page
    may hold fewer than asked for, or none, and yet not be the last. ``steps``: after so many it ends as it is."""
    newest = wanted.order == NEWEST_FIRST
    rows, far = (_MINE_NEWEST, _MINE_FAR_NEWEST) if newest else (_MINE_OLDEST, _MINE_FAR_OLDEST)
    asked = _Asked(wanted, rows, far)
    return await _paged(store, asked, first, after, steps)


async def page_across(store: Store, wanted: Wanted, first: int, after: Place | None = None) -> Page:
    """As :func:`page`, of all clients and the installation."""
    newest = wanted.order == NEWEST_FIRST
    rows, far = (_ALL_NEWEST, _ALL_FAR_NEWEST) if newest else (_ALL_OLDEST, _ALL_FAR_OLDEST)
    asked = _Asked(wanted, rows, far)
    return await _paged(store, asked, first, after)


async def total(store: TenantStore, wanted: Wanted) -> int | None:
    """How many there are; None: more events than ``STEP * STEPS`` would have to be looked at."""
    asked = _Asked(wanted._replace(order=OLDEST_FIRST), _MINE_OLDEST, _MINE_FAR_OLDEST)
    found, here = 0, wanted.span
    for _ in range(STEPS):
        counted, left = await store.read(lambda unit: _count(unit, asked, here))  # noqa: B023 - awaited at once
        found += counted
        if left is None:
            return found
        here = left
    return None


async def place_of_number(store: TenantStore, number: int) -> Place | None:
    """Where the event with that number stands; None: it is gone, or never was."""
    return await store.read(lambda unit: unit.first(_PLACE, number=number))


async def _paged(store: Any, asked: _Asked, first: int, after: Place | None, steps: int = STEPS) -> Page:
    newest = asked.newest_first
    low, high = asked.wanted.span
    if after is not None:
        low, high = (low, min(high, after)) if newest else (max(low, after), high)
    here = _Range(low, high)
    found: list[Found] = []
    for _ in range(steps):
        limit = first + 1 - len(found)
        rows, left = await store.read(lambda unit: _step(unit, asked, here, limit))  # noqa: B023 - awaited at once
        found += rows
        if len(found) > first:
            return found[:first], found[first - 1].place
        if left is None:
            return found, None
        here = left
    return found, here.high if newest else here.low


def _step(unit: Any, asked: _Asked, whole: _Range, limit: int) -> tuple[list[Found], _Range | None]:
    """What the next step finds, and what is left behind it. ``unit``: of the kind that the statements are for."""
    here, left = (whole, None) if asked.wanted.is_any else _split(unit, asked, whole)
    rows = unit.all(asked.rows, **here.values, **asked.wanted.texts, limit=limit)
    names = names_of(unit, [row[0] for row in rows])
    return [Found(row[0], names.get(row[0]), Link(*row[1:])) for row in rows], left


def _count(unit: TenantUnit, asked: _Asked, whole: _Range) -> tuple[int, _Range | None]:
    here, left = _split(unit, asked, whole)
    return unit.first(_COUNT, **here.values, **asked.wanted.texts) or 0, left


def _split(unit: Any, asked: _Asked, whole: _Range) -> tuple[_Range, _Range | None]:
    """The next ``STEP`` events, and those behind them."""
    far: Place | None = unit.first(asked.horizon, **whole.values, limit=1, offset=STEP)
    if far is None:
        return whole, None
    if asked.newest_first:
        return _Range(far, whole.high), _Range(whole.low, far._replace(sequence=far.sequence + 1))
    return _Range(whole.low, far), _Range(far._replace(sequence=far.sequence - 1), whole.high)
