"""Deliberately broken servers, which the kill tests must detect.

Each change runs in a fork before the program.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from manifest_auth import audit
from manifest_auth.store import sqlite
from tests.kills import kill_points


class _Late:
    """The connection of short units of work, which commits a unit's changes when the next one starts."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def execute(self, statement: str, *values: Any) -> Any:
        if statement == "BEGIN IMMEDIATE":
            self.commit()
        return None if statement == "COMMIT" else self._raw.execute(statement, *values)

    def commit(self) -> None:
        if self._raw.in_transaction:
            self._raw.execute("COMMIT")


class _Following:
    """The connection of the writing thread, which needs the late one's lock."""

    def __init__(self, raw: Any, late: _Late, loop: asyncio.AbstractEventLoop) -> None:
        self._raw, self._late, self._loop = raw, late, loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def execute(self, statement: str, *values: Any) -> Any:
        if statement == "BEGIN IMMEDIATE":
            self._loop.call_soon_threadsafe(self._late.commit)
        return self._raw.execute(statement, *values)


def answers_before_the_commit() -> None:
    """Confirm short units of work before the next one commits them, which never happens if none follows."""
    raw_of = sqlite.connect
    late: list[_Late] = []

    def connect(path: str, **options: Any) -> Any:
        raw = raw_of(path, **options)
        if options.get("busy_ms") == 0:
            late.append(_Late(raw))
            return late[-1]
        return _Following(raw, late[-1], asyncio.get_running_loop()) if late else raw

    sqlite.connect = connect
    sqlite.Syncer.settle_after_sync = _settle_at_once  # type: ignore[method-assign, assignment]


def _settle_at_once(_syncer: sqlite.Syncer, group: list[sqlite.Job]) -> None:
    sqlite.settle(group)


def forgets_events() -> None:
    """Omit all sign-outs from the audit trail."""
    record = audit.record

    def forgetful(unit: Any, who: Any, what: audit.Event, *given: Any, **detail: Any) -> None:
        if what is not audit.Event.SIGNED_OUT:
            record(unit, who, what, *given, **detail)

    audit.record = forgetful  # type: ignore[assignment]


def upgrades_by_halves() -> None:
    """Commit each new table of an upgrade separately. After the first one, wait to be killed."""
    kill_points.upgrade()
    half = Path(os.environ[kill_points.VARIABLE]).parent / "half"

    @event.listens_for(Engine, "after_cursor_execute")
    def commit(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().startswith("CREATE TABLE"):
            raw = connection.connection.driver_connection
            raw.execute("COMMIT")
            if not half.exists():
                half.touch()
                time.sleep(3600)
            raw.execute("BEGIN EXCLUSIVE")
