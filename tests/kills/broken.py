"""Ways to break the server that the proof must notice. Each runs in a fork before the program does."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Engine, event

from manifest_auth import audit
from manifest_auth.store import sqlite, sqlite_threads
from tests.kills import marks

LATE_S = 0.1


def answers_before_the_commit() -> None:
    """Short units of work are answered, and committed a little later."""
    raw_of = sqlite.connect

    class Late:
        """A connection whose commits wait."""

        def __init__(self, raw: Any) -> None:
            self._raw = raw

        def __getattr__(self, name: str) -> Any:
            return getattr(self._raw, name)

        def execute(self, statement: str, *values: Any) -> Any:
            if statement == "BEGIN IMMEDIATE" and self._raw.in_transaction:
                self._raw.execute("COMMIT")
            if statement != "COMMIT":
                return self._raw.execute(statement, *values)
            asyncio.get_running_loop().call_later(LATE_S, self._commit)
            return None

        def _commit(self) -> None:
            if self._raw.in_transaction:
                self._raw.execute("COMMIT")

    def connect(path: str, **options: Any) -> Any:
        raw = raw_of(path, **options)
        return Late(raw) if options.get("busy_ms") == 0 else raw

    sqlite.connect = connect
    sqlite_threads.Syncer.settle_after_sync = _settle_at_once  # type: ignore[method-assign, assignment]


def _settle_at_once(_syncer: sqlite_threads.Syncer, group: list[sqlite_threads.Job]) -> None:
    sqlite_threads.settle(group)


def forgets_events() -> None:
    """Nobody's sign-out comes into the audit trail."""
    record = audit.record

    def forgetful(unit: Any, who: Any, what: audit.Event, *given: Any, **detail: Any) -> None:
        if what is not audit.Event.SIGNED_OUT:
            record(unit, who, what, *given, **detail)

    audit.record = forgetful  # type: ignore[assignment]


def upgrades_by_halves() -> None:
    """Each new table of an upgrade is committed by itself."""
    marks.upgrade()

    @event.listens_for(Engine, "after_cursor_execute")
    def commit(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().startswith("CREATE TABLE"):
            raw = connection.connection.driver_connection
            raw.execute("COMMIT")
            raw.execute("BEGIN EXCLUSIVE")
