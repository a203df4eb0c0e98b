"""The ledger records the responses that clients received, and checks whether the database still matches."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

#: The prefix of every request ID of the crowd, which the audit trail stores.
MARK = "kill-"
Key = tuple[Any, ...]
_EVENTS = f"SELECT request_id, event FROM audit_events WHERE request_id LIKE '{MARK}%'"
#: The content of the database, as (kind, object, value).
_STATE = {
    "session": "SELECT id, CASE WHEN ended_at IS NULL THEN 'open' ELSE 'ended' END FROM sessions",
    "e-mail": "SELECT id, email FROM users",
    "roles": "SELECT id, roles FROM users",
    "client": "SELECT identifier, name FROM tenants",
    "job": "SELECT id, status FROM jobs",
    "steps done": "SELECT id, done FROM jobs",
    "record": "SELECT job_id, number, text FROM job_records",
    "file": "SELECT id, sha256 FROM files",
}


class Lost(AssertionError):
    """A success that a client saw is missing."""


@dataclass
class Ledger:
    """``events`` are indexed by the ID of the successful request. ``values`` are the possible current values of each
    object, with several if the latest request got no response."""

    events: dict[str, str] = field(default_factory=dict)
    values: dict[Key, set[Any]] = field(default_factory=dict)
    round: int = 0
    _rounds: dict[Any, int] = field(default_factory=dict)
    _touched: set[Key] = field(default_factory=set)

    @property
    def size(self) -> int:
        return len(self.events) + len(self.values)

    def event(self, request: str, event: str) -> None:
        """Record a success that leaves this event in the audit trail."""
        self.events[request] = event
        self._rounds[request] = self.round

    def is_now(self, key: Key, value: Any) -> None:
        """Record a success that set this value."""
        self.values[key] = {value}
        self._touched.add(key)
        self._rounds[key] = self.round

    def may_be(self, key: Key, value: Any) -> None:
        """Record a request in progress, which might or might not take effect until there is a response."""
        self.values[key].add(value)
        self._touched.add(key)

    async def check(self, url: str) -> None:
        """Raise Lost with everything that is missing. Changes during the check are left to the next one."""
        told, told_values = dict(self.events), {key: set(values) for key, values in self.values.items()}
        self._touched.clear()
        events, *state = await _rows(url, [_EVENTS, *_STATE.values()])
        recorded = set(events)
        found = {(kind, *row[:-1]): row[-1] for kind, rows in zip(_STATE, state, strict=True) for row in rows}
        missing = [
            f"event {event} of request {request}, answered in round {self._rounds[request]}"
            for request, event in told.items()
            if (request, event) not in recorded
        ]
        missing += [
            f"{key} is {found.get(key)!r} and not {values}, answered in round {self._rounds[key]}"
            for key, values in told_values.items()
            if key not in self._touched and found.get(key) not in values
        ]
        if missing:
            raise Lost(f"in round {self.round}, {len(missing)} of {self.size}:\n" + "\n".join(missing[:20]))


async def _rows(url: str, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
    if url.startswith("sqlite"):
        return await asyncio.to_thread(_rows_of_sqlite, url, statements)
    remote = await asyncpg.connect(url)
    try:
        return [[tuple(row) for row in await remote.fetch(statement)] for statement in statements]
    finally:
        await remote.close()


def _rows_of_sqlite(url: str, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
    raw = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)
    try:
        return [raw.execute(statement).fetchall() for statement in statements]
    finally:
        raw.close()
