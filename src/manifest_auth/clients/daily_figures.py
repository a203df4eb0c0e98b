"""Daily figures of a client, for charts: sign-ins and failures of the trail, factors, seats and active users.

A background job adds new events of the trail to the counts. So a sign-in writes nothing extra, and a page reads a few
hundred rows regardless of the length of the trail. Days are in UTC.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import orjson
from sqlalchemy import BigInteger, bindparam, delete, func, not_, or_, select, update

from manifest_auth.audit import Event
from manifest_auth.licence import gate
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import Services
from manifest_auth.sign_in.providers.entra import EntraSettings
from manifest_auth.sign_in.refusal_reasons import declared
from manifest_auth.store import (
    StoreUnavailable,
    TenantStore,
    TenantUnit,
    cross_tenant,
    tenant_condition,
    tenant_scoped,
    upsert,
)
from manifest_auth.store.tables import audit_events, audit_heads, daily_figures, passkeys, sessions, user_totps, users

#: ``users``: active users. ``passkey``, ``app``: the ones among them with this strongest second factor.
#: ``active_week``: the ones who used a session within seven days. The others: active users by the license type that
#: they need.
State = Literal["users", "passkey", "app", "active_week", "full", "operate", "connect"]
Result = Literal["signed_in", "failed", "throttled"]

DAY_MS = DAY * 1000
KEPT_DAYS = 400
#: The number of days of the trail that are counted the first time.
_FIRST_DAYS = 90
_STATE_EVERY_MS, _STATE_AT_LEAST_MS = 3_600_000, DAY_MS  # while there are events; without any
_EVERY_S, _GO_ON_S = 20.0, 5.0
_STEP, _CHAINS = 2_000, 200
_MARKED: Final = "marked"  # on day 0: the number of the last counted event
_TAKEN: Final = "taken"  # on day 0: when the state was taken, in milliseconds
_RESULTS: Final[dict[str, Result]] = {
    Event.SIGNED_IN.value: "signed_in",
    Event.SIGN_IN_FAILED.value: "failed",
    Event.SIGN_IN_REFUSED.value: "failed",
    Event.THROTTLED.value: "throttled",
}

_D, _E, _H, _U = daily_figures.c, audit_events.c, audit_heads.c, users.c
_KEY: dict[str, Any] = {name: bindparam(name) for name in ("day", "figure", "part", "number")}
_AT_KEY: dict[str, Any] = {"index_elements": ["tenant_id", "day", "figure", "part"]}
_ADD = tenant_scoped(
    upsert(daily_figures)
    .values(_KEY)
    .on_conflict_do_update(**_AT_KEY, set_={"number": _D.number + bindparam("number", type_=BigInteger())})
)
_SET = tenant_scoped(
    upsert(daily_figures).values(_KEY).on_conflict_do_update(**_AT_KEY, set_={"number": bindparam("number")})
)
_BEGIN = tenant_scoped(upsert(daily_figures).values(_KEY).on_conflict_do_nothing(**_AT_KEY))
_MOVE = tenant_scoped(
    update(daily_figures)
    .where(_D.day == 0, _D.figure == _MARKED, _D.part == "", _D.number == bindparam("was"))
    .values(number=bindparam("to"))
)
_MARK = tenant_scoped(select(_D.number).where(_D.day == 0, _D.figure == bindparam("of"), _D.part == ""), int)
_DROP = tenant_scoped(delete(daily_figures).where(_D.day > 0, _D.day < bindparam("before")))
_FIRST = tenant_scoped(
    select(_E.sequence).where(_E.at >= bindparam("since")).order_by(_E.at, _E.sequence).limit(1), int
)
_HEAD = tenant_scoped(select(_H.sequence), int)


def _marked(name: str) -> Any:
    """Selects a mark of the client that a chain's head belongs to; 0 if there is none."""
    mark = select(_D.number).where(_D.tenant_id == _H.tenant_id, _D.day == 0, _D.figure == name, _D.part == "")
    return func.coalesce(mark.scalar_subquery(), 0)


_BEHIND = cross_tenant(
    select(_H.tenant_id)
    .where(
        _H.tenant_id > bindparam("after"),
        _H.gone_at.is_(None),
        or_(_H.sequence > _marked(_MARKED), _marked(_TAKEN) < bindparam("stale", type_=BigInteger())),
    )
    .order_by(_H.tenant_id)
    .limit(_CHAINS),
    int,
    because="one job counts the events of all clients, one after another",
)


class _Found(NamedTuple):
    at: int
    event: str
    detail: str


_NEXT = tenant_scoped(
    select(_E.at, _E.event, _E.detail)
    .where(
        _E.sequence > bindparam("after"),
        _E.sequence <= bindparam("to"),
        or_(*(_E.event == event for event in (*_RESULTS, Event.EVENTS_LEFT_OUT.value))),
    )
    .order_by(_E.sequence),
    _Found,
)


def _owning(table: Any, *conditions: Any) -> Any:
    """Returns the condition that a user has a row in the table."""
    own = select(table.c.user_id).where(tenant_condition(table), *conditions)
    return _U.id.in_(own)


_ACTIVE = _U.deactivated_at.is_(None)
_HAS_PASSKEY, _HAS_APP = _owning(passkeys), _owning(user_totps, user_totps.c.secret.is_not(None))
_IN_USE = _owning(sessions, sessions.c.last_used_at >= bindparam("since"))
_PASSKEY, _APP, _ACTIVE_WEEK = (
    tenant_scoped(select(func.count()).select_from(users).where(_ACTIVE, *conditions), int)
    for conditions in ((_HAS_PASSKEY,), (_HAS_APP, not_(_HAS_PASSKEY)), (_IN_USE,))
)
_ROLES = tenant_scoped(select(_U.roles, func.count()).where(_ACTIVE).group_by(_U.roles))


async def run(services: Services) -> None:
    """Counts until canceled. If the store fails, the next round tries again."""
    while True:
        is_complete = True
        try:
            is_complete = await count_all(services)
        except StoreUnavailable as error:
            services.log.info("counting_failed", error=str(error))
        except Exception:
            services.log.exception("counting_failed")
        await asyncio.sleep(_EVERY_S if is_complete else _GO_ON_S)


async def count_all(services: Services) -> bool:
    """Counts new events of all clients, ``_STEP`` for each. Returns True when nothing is left. Raises
    StoreUnavailable."""
    now, after, is_complete = await services.store.now_ms(services.clock), 0, True
    while True:
        values = {"after": after, "stale": now - _STATE_AT_LEAST_MS}
        behind = await services.store.read(lambda unit: unit.all(_BEHIND, **values))  # noqa: B023 - awaited
        for tenant_id in behind:
            try:
                is_complete &= await _count(services.store.of(tenant_id), now)
            except StoreUnavailable:
                raise
            except Exception:  # for example, a client that is being deleted; others are still counted
                services.log.exception("counting_failed", tenant=tenant_id)
        if len(behind) < _CHAINS:
            return is_complete
        after = behind[-1]


class _Counted(NamedTuple):
    """The events and state that a step read.

    ``was`` is the previous mark, None if there is none yet. ``to`` is the next mark. ``newest`` is the number of the
    chain's newest event.
    """

    was: int | None
    begins: int
    to: int
    newest: int
    events: list[_Found]
    state: dict[str, int]


async def _count(store: TenantStore, now: int) -> bool:
    """Adds the next events of the client to its figures, and its state if that is an hour old. Returns True when
    nothing is left. If another process counts the same events, only one of them adds them."""
    found = await store.read(lambda unit: _look(unit, now))
    numbers = await asyncio.to_thread(_counted, found.events)  # it loads modules the first time
    await store.write(lambda unit: _add(unit, found, numbers, now))
    return found.to == found.newest


def _look(unit: TenantUnit, now: int) -> _Counted:
    was, newest = unit.first(_MARK, of=_MARKED), unit.first(_HEAD) or 0
    begins = was
    if begins is None:
        begins = (unit.first(_FIRST, since=now - _FIRST_DAYS * DAY_MS) or newest + 1) - 1
    to = min(newest, begins + _STEP)
    events = unit.all(_NEXT, after=begins, to=to)
    is_old = now - (unit.first(_MARK, of=_TAKEN) or 0) >= _STATE_EVERY_MS
    return _Counted(
        was=was, begins=begins, to=to, newest=newest, events=events, state=_read_state(unit, now) if is_old else {}
    )


def _add(unit: TenantUnit, found: _Counted, numbers: Counter[tuple[int, str, str]], now: int) -> None:
    if found.was is None:
        unit.change(_BEGIN, day=0, figure=_MARKED, part="", number=found.begins)
    if found.to > found.begins and unit.change(_MOVE, was=found.begins, to=found.to):
        for (day, figure, part), number in sorted(numbers.items()):
            unit.change(_ADD, day=day, figure=figure, part=part, number=number)
    if found.state:
        for figure, number in found.state.items():
            unit.change(_SET, day=now // DAY_MS, figure=figure, part="", number=number)
        unit.change(_SET, day=0, figure=_TAKEN, part="", number=now)
        unit.change(_DROP, before=now // DAY_MS - KEPT_DAYS)


def _counted(found: list[_Found]) -> Counter[tuple[int, str, str]]:
    counted: Counter[tuple[int, str, str]] = Counter()
    for event in found:
        try:
            detail = orjson.loads(event.detail)
        except orjson.JSONDecodeError:  # a damaged row, which ``audit verify`` reports
            continue
        day, name, number = event.at // DAY_MS, event.event, 1
        if name == Event.EVENTS_LEFT_OUT.value:  # recorded at the 1st, 2nd, 4th, 8th, … such event
            name, so_far = str(detail.get("last", "")), detail.get("events", 0)
            number = so_far - so_far // 2
        if name not in _RESULTS or (name == Event.SIGNED_IN.value and detail.get("method") == EntraSettings.kind):
            continue  # an Entra ID token is checked again every five minutes, which isn't a sign-in
        result = _RESULTS[name]
        counted[day, result, ""] += number
        if result == "failed":
            counted[day, result, _part(detail)] += number
    return counted


def _part(detail: dict[str, Any]) -> str:
    """The provider and reason of a failure, or its method if no provider was involved. These have few distinct values,
    so they need few rows."""
    given, why = detail.get("provider"), str(detail.get("why", ""))
    provider = given if isinstance(given, int) else ""
    fitting = [begins for begins in _reasons() if why.startswith(begins)] if why else []
    return f"{provider}|{max(fitting, key=len, default='')}|{detail.get('method', '') if not provider else ''}"


@cache
def _reasons() -> tuple[str, ...]:
    """The beginnings of rejection reasons, up to the part that varies."""
    return tuple(begins for each in declared() if (begins := each.text.partition("…")[0].rstrip(": ")))


def _read_state(unit: TenantUnit, now: int) -> dict[str, int]:
    types = dict.fromkeys(gate.TYPES, 0)
    roles = unit.all(_ROLES)
    for bits, number in roles:
        if (place := gate.type_index(bits)) < len(gate.TYPES):
            types[gate.TYPES[place]] += number
    return {
        "users": sum(number for _, number in roles),
        "passkey": unit.one(_PASSKEY),
        "app": unit.one(_APP),
        "active_week": unit.one(_ACTIVE_WEEK, since=now - 7 * DAY_MS),
        **types,
    }


class Failure(NamedTuple):
    """A kind of failure. ``provider`` is the provider's ID, 0 if none was involved. ``reason`` is the beginning of the
    reason. ``method`` is set only for a failure without a provider."""

    provider: int
    reason: str
    method: str
    number: int


class Figures(NamedTuple):
    """The figures. ``days`` are days since 1970, oldest first. ``results`` are the number of each, by day. ``state`` is
    the newest. ``active_weeks`` are the last day of each week, and its active users. ``taken_at`` is in milliseconds, 0
    for never."""

    days: tuple[int, ...]
    results: dict[Result, tuple[int, ...]]
    failures: tuple[Failure, ...]
    state: dict[str, int]
    active_weeks: tuple[tuple[int, int], ...]
    taken_at: int


_DAYS, _WEEKS, _MOST_FAILURES = 30, 12, 10
_WHOLE = tenant_scoped(
    select(_D.day, _D.figure, _D.number).where(_D.day >= bindparam("since"), _D.part == "").order_by(_D.day)
)
_total = func.sum(_D.number)
_FAILURES = tenant_scoped(
    select(_D.part, _total)
    .where(_D.day >= bindparam("since"), _D.figure == "failed", _D.part != "")
    .group_by(_D.part)
    .order_by(_total.desc(), _D.part)
    .limit(_MOST_FAILURES)
)


def read(unit: TenantUnit, now: int) -> Figures:
    """Returns the figures of the unit's client: 30 days, and 12 weeks of active users."""
    today = now // DAY_MS
    days = tuple(range(today - _DAYS + 1, today + 1))
    numbers = {(day, figure): number for day, figure, number in unit.all(_WHOLE, since=today - 7 * _WEEKS)}
    newest = max((day for day, figure in numbers if figure == "users"), default=0)
    weeks = []
    for last in range(today - 7 * (_WEEKS - 1), today + 1, 7):
        known = [numbers[day, "active_week"] for day in range(last - 6, last + 1) if (day, "active_week") in numbers]
        weeks.append((last, known[-1] if known else 0))
    failures = []
    for part, number in unit.all(_FAILURES, since=days[0]):
        provider, reason, method = part.split("|")
        failures.append(Failure(int(provider or 0), reason, method, int(number)))
    return Figures(
        days=days,
        results={
            result: tuple(numbers.get((day, result), 0) for day in days)
            for result in ("signed_in", "failed", "throttled")
        },
        failures=tuple(failures),
        state={figure: number for (day, figure), number in numbers.items() if day == newest},
        active_weeks=tuple(weeks),
        taken_at=unit.first(_MARK, of=_TAKEN) or 0,
    )
