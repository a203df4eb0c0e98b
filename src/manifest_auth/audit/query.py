"""Pages of the audit trail, of one client or of all, by time.

The cost of a page is limited, regardless of the length of the trail.

The order is (time, chain, number), which has an index. Other filters have none, because an index would slow down every
sign-in. A filtered page is therefore found in steps, each a separate read of ``STEP`` events. It ends after ``STEPS``
steps with a cursor to continue. Totals are counted in the same steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, Text, and_, bindparam, func, or_, select, tuple_

from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.chains import BEFORE_ALL, MOST, Link, names_of
from manifest_auth.store import CrossTenant, Store, TenantScoped, TenantStore, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import audit_events

STEP = 5000
STEPS = 200
NEWEST_FIRST, OLDEST_FIRST = "newest", "oldest"


class Position(NamedTuple):
    """The position of an event in the order of all events."""

    at: int
    chain: int
    sequence: int


class EventFilter(NamedTuple):
    """A filter for events. Empty texts match everything. ``user`` matches actors and subjects, and ``until`` is
    exclusive. If ``result`` isn't empty, only bad events match, such as failed sign-ins."""

    event: str = ""
    actor: str = ""
    subject: str = ""
    user: str = ""
    since: int = BEFORE_ALL
    until: int = MOST
    order: str = NEWEST_FIRST
    result: str = ""

    @property
    def is_any(self) -> bool:
        return not any(self.texts.values())

    @property
    def texts(self) -> dict[str, str]:
        """The parameters of the conditions without an index."""
        return {name: getattr(self, name) for name in ("event", "actor", "subject", "user", "result")}

    @property
    def span(self) -> _Range:
        """The range of event positions from ``since`` until just before ``until``."""
        low = (
            Position(self.since - 1, MOST, MOST)
            if self.since > BEFORE_ALL
            else Position(BEFORE_ALL, BEFORE_ALL, BEFORE_ALL)
        )
        high = Position(MOST, MOST, MOST) if self.until == MOST else Position(self.until, BEFORE_ALL, BEFORE_ALL)
        return _Range(low, high)


class FoundEvent(NamedTuple):
    """An event with its client; None for the installation, or a deleted client."""

    chain: int
    client: str | None
    link: Link

    @property
    def position(self) -> Position:
        return Position(self.link.at, self.chain, self.link.sequence)


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
    event_filter = bindparam(name, type_=Text())
    return or_(event_filter == "", *(_E[column] == event_filter for column in columns or (name,)))


_IS_BAD = or_(*(_E.event == event.value for event in Event if event.about.is_bad))
_MATCHES = (
    *(_is("event"), _is("actor"), _is("subject"), _is("user", "actor", "subject")),
    or_(bindparam("result", type_=Text()) == "", _IS_BAD),
)


def _page(*, newest_first: bool) -> Select[Any]:
    return _between(select(*_ROW).where(*_MATCHES), newest_first=newest_first)


def _horizon(*, newest_first: bool) -> Select[Any]:
    """Selects the position of the event at that offset."""
    return _between(select(*_KEY), newest_first=newest_first).offset(bindparam("offset"))


_OWN_NEWEST, _OWN_OLDEST = tenant_scoped(_page(newest_first=True)), tenant_scoped(_page(newest_first=False))
_OWN_FAR_NEWEST, _OWN_FAR_OLDEST = (tenant_scoped(_horizon(newest_first=newest), Position) for newest in (True, False))
_ALL_NEWEST, _ALL_OLDEST = (cross_tenant(_page(newest_first=newest), because=_WHY) for newest in (True, False))
_ALL_FAR_NEWEST, _ALL_FAR_OLDEST = (
    cross_tenant(_horizon(newest_first=newest), Position, because=_WHY) for newest in (True, False)
)
_COUNT = tenant_scoped(select(func.count()).select_from(audit_events).where(_inside(), *_MATCHES), int)
_POSITION = tenant_scoped(select(*_KEY).where(_E.sequence == bindparam("number")), Position)


class _Range(NamedTuple):
    """The events between two positions, excluding both."""

    low: Position
    high: Position

    @property
    def values(self) -> dict[str, int]:
        low, high = self.low._asdict().items(), self.high._asdict().items()
        return {f"low_{part}": at for part, at in low} | {f"high_{part}": at for part, at in high}


class _Query(NamedTuple):
    """A filter, with the statements for one client or for all."""

    event_filter: EventFilter
    rows: TenantScoped[Any] | CrossTenant[Any]
    horizon: TenantScoped[Position] | CrossTenant[Position]

    @property
    def newest_first(self) -> bool:
        return self.event_filter.order == NEWEST_FIRST


Page = tuple[list[FoundEvent], Position | None]


async def page(
    store: TenantStore,
    event_filter: EventFilter,
    first: int,
    after: Position | None = None,
    *,
    steps: int | None = None,
) -> Page:
    """Returns at most ``first`` events of the store's client, and the position where the next page starts; None if this
    is the last page. A page can have fewer events than requested, or none, even if it isn't the last. ``steps`` limits
    the search, if lower than ``STEPS``."""
    newest = event_filter.order == NEWEST_FIRST
    rows, far = (_OWN_NEWEST, _OWN_FAR_NEWEST) if newest else (_OWN_OLDEST, _OWN_FAR_OLDEST)
    return await _paged(store, _Query(event_filter, rows, far), first, after, STEPS if steps is None else steps)


def first_step(unit: TenantUnit, event_filter: EventFilter, first: int) -> Page:
    """Like :func:`page`, but only the newest events within one step of the search, for a read that also does other
    things."""
    rows, left = _step(unit, _Query(event_filter, _OWN_NEWEST, _OWN_FAR_NEWEST), _Range(*event_filter.span), first + 1)
    if len(rows) > first:
        return rows[:first], rows[first - 1].position
    return rows, None if left is None else left.high


async def page_across(store: Store, event_filter: EventFilter, first: int, after: Position | None = None) -> Page:
    """Like :func:`page`, for all clients and the installation."""
    newest = event_filter.order == NEWEST_FIRST
    rows, far = (_ALL_NEWEST, _ALL_FAR_NEWEST) if newest else (_ALL_OLDEST, _ALL_FAR_OLDEST)
    return await _paged(store, _Query(event_filter, rows, far), first, after, STEPS)


async def total(store: TenantStore, event_filter: EventFilter, steps: int | None = None) -> int | None:
    """Returns the number of events; None if that would require reading more than ``STEP * STEPS`` events. ``steps``
    replaces ``STEPS``."""
    asked = _Query(event_filter._replace(order=OLDEST_FIRST), _OWN_OLDEST, _OWN_FAR_OLDEST)
    found, here = 0, event_filter.span
    for _ in range(STEPS if steps is None else steps):
        counted, left = await store.read(lambda unit: _count(unit, asked, here))  # noqa: B023 - awaited
        found += counted
        if left is None:
            return found
        here = left
    return None


async def position_of_number(store: TenantStore, number: int) -> Position | None:
    """Returns the position of the event with that number; None if it doesn't exist."""
    return await store.read(lambda unit: unit.first(_POSITION, number=number))


async def _paged(store: Any, asked: _Query, first: int, after: Position | None, steps: int) -> Page:
    newest = asked.newest_first
    low, high = asked.event_filter.span
    if after is not None:
        low, high = (low, min(high, after)) if newest else (max(low, after), high)
    here = _Range(low, high)
    found: list[FoundEvent] = []
    for _ in range(steps):
        limit = first + 1 - len(found)
        rows, left = await store.read(lambda unit: _step(unit, asked, here, limit))  # noqa: B023 - awaited
        found += rows
        if len(found) > first:
            return found[:first], found[first - 1].position
        if left is None:
            return found, None
        here = left
    return found, here.high if newest else here.low


def _step(unit: Any, asked: _Query, whole: _Range, limit: int) -> tuple[list[FoundEvent], _Range | None]:
    """Returns the events of the next step, and the remaining range. ``unit`` is the kind of unit that the statements
    need."""
    here, left = (whole, None) if asked.event_filter.is_any else _split(unit, asked, whole)
    rows = unit.all(asked.rows, **here.values, **asked.event_filter.texts, limit=limit)
    names = names_of(unit, [row[0] for row in rows])
    return [FoundEvent(row[0], names.get(row[0]), Link(*row[1:])) for row in rows], left


def _count(unit: TenantUnit, asked: _Query, whole: _Range) -> tuple[int, _Range | None]:
    here, left = _split(unit, asked, whole)
    return unit.first(_COUNT, **here.values, **asked.event_filter.texts) or 0, left


def _split(unit: Any, asked: _Query, whole: _Range) -> tuple[_Range, _Range | None]:
    """Returns the range of the next ``STEP`` events, and the remaining range."""
    far: Position | None = unit.first(asked.horizon, **whole.values, limit=1, offset=STEP)
    if far is None:
        return whole, None
    if asked.newest_first:
        return _Range(far, whole.high), _Range(whole.low, far._replace(sequence=far.sequence + 1))
    return _Range(whole.low, far), _Range(far._replace(sequence=far.sequence - 1), whole.high)
