"""Units of work in one round trip: a statement that changes nothing unless each row that it locks is as expected.

A unit tells the store which rows a later one will most likely lock (``unit.expect``). That one then runs without the
database: it gets those rows, and its changes are collected. The statement locks the rows in the order in which the
unit asked for them and compares them, so the unit decided by what is stored. In any other case, the unit runs again in
a transaction (``docs/decisions/0059-units-in-one-round-trip.md``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from itertools import chain, count
from typing import Any, NoReturn

from sqlalchemy import Insert, cast, select, text

from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.statements import Compiled, Statement
from manifest_auth.store.unit import Connection, Expectation, Rows

MOST = 300  # expectations; more attempts than that don't wait for their hash, and each takes a few kilobytes
_IF = text("EXISTS (SELECT FROM as_expected)")


class NotExpected(BaseException):
    """The unit needs the database before it can continue. No refusal, so that no unit handles it."""


class Expected:
    """The rows that units of this process expect, the oldest first. They can be wrong at any time."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Any, ...], Rows] = {}

    def put(self, expects: Iterable[Expectation]) -> None:
        for statement, values, rows in expects:
            key = _key(statement, values)
            self._rows.pop(key, None)
            self._rows[key] = rows
            if len(self._rows) > MOST:
                del self._rows[next(iter(self._rows))]

    def of(self, statement: Statement[Any], values: dict[str, Any]) -> Rows:
        """Raises NotExpected."""
        if not (rows := self._rows.get(_key(statement, values))):
            raise NotExpected
        return rows


def _key(statement: Statement[Any], values: dict[str, Any]) -> tuple[Any, ...]:
    return (statement, *statement.postgres.values(values))


class AtOnce(Connection):
    """A unit that runs without the database. Raises NotExpected if it can't."""

    def __init__(self, macs: Macs | None, expected: Expected) -> None:
        super().__init__(macs)
        self._expected = expected
        self._locks: list[Expectation] = []
        self._changes: list[tuple[Statement[Any], dict[str, Any]]] = []

    def fetch(self, statement: Statement[Any], values: dict[str, Any]) -> Rows:
        if not statement.is_locking_read or statement.may_see([change for change, _ in self._changes]):
            raise NotExpected
        rows = self._expected.of(statement, values)
        self._locks.append((statement, values, rows))
        return rows

    def change(self, statement: Statement[Any], values: dict[str, Any]) -> NoReturn:
        raise NotExpected

    def change_later(self, statement: Statement[Any], values: dict[str, Any]) -> None:
        self._changes.append((statement, values))

    def end(self) -> None:
        """Ends the unit. Raises NotExpected if it isn't one statement."""
        if not self._locks or self.announced:
            raise NotExpected

    def statement(self) -> tuple[str, list[Any]]:
        """Returns the SQL, whose status counts one row if everything was as expected, and its values. Later statements
        expect the state after it."""
        self._expected.put(self.expects)
        locks = tuple((lock, len(rows)) for lock, _, rows in self._locks)
        given = [v for lock, values, rows in self._locks for v in (*lock.postgres.values(values), *chain(*rows))]
        given += [v for change, values in self._changes for v in _if_expected(change).values(values)]
        return _sql(locks, tuple(change for change, _ in self._changes)), given


@lru_cache(256)
def _sql(locks: tuple[tuple[Statement[Any], int], ...], changes: tuple[Statement[Any], ...]) -> str:
    parts, checks, before = list[str](), list[str](), 0
    for number, (lock, expected) in enumerate(locks):
        names = [f"v{n}" for n in range(len(lock.source.selected_columns))]  # type: ignore[union-attr]  # a SELECT
        parts.append(f"lock{number} ({', '.join(names)}) AS ({lock.postgres.shifted(before)})")
        places = count(before + len(lock.postgres.order) + 1)
        rows = (" AND ".join(f"{name} IS NOT DISTINCT FROM ${next(places)}" for name in names) for _ in range(expected))
        same = " OR ".join([f"({row})" for row in rows])
        # In this order, and one after another. The count reads all rows, so all of them are locked.
        check = f"count(*) = {expected} AND bool_and({same}) FROM lock{number}"
        checks.append(f"WHEN NOT (SELECT {check}) THEN false")
        before = next(places) - 1
    parts.append(f"as_expected AS MATERIALIZED (SELECT 1 WHERE CASE {' '.join(checks)} ELSE true END)")
    for number, change in enumerate(changes):
        compiled = _if_expected(change)
        parts.append(f"change{number} AS ({compiled.shifted(before)})")
        before += len(compiled.order)
    return f"WITH {', '.join(parts)} SELECT FROM as_expected"


@cache
def _if_expected(statement: Statement[Any]) -> Compiled:
    """Returns a change that happens only if all locked rows are as expected."""
    source = statement.source
    if isinstance(source, Insert):
        if source.select is None:
            given: Mapping[Any, Any] = source._values or {}
            columns = [source.table.c[getattr(column, "name", column)] for column in given]
            names = [column.name for column in columns]
            found = select(*(cast(v, c.type) for c, v in zip(columns, given.values(), strict=True)))
            source = source._generate()
            source._values = None
        else:
            names, found = list(source._select_names or ()), source.select
        source = source.from_select(names, found.where(_IF), include_defaults=False)
    else:
        source = source.where(_IF)
    return Statement(source, tuple).postgres
