"""Large databases of earlier releases, created once, and copies of them to upgrade and kill."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Connection, MetaData, insert, text

from manifest_auth import audit
from manifest_auth.audit.events import Head, with_mac
from tests.store import old_stores
from tests.support.postgres import Databases, database_of
from tests.support.secret_keys import MACS

MANY = 6000  # users, and as many sessions, so that an upgrade takes long enough to be killed
EVENTS = 1500  # additional events in the first client's trail
Rows = dict[str, Counter[tuple[Any, ...]]]
#: Columns of existing rows that sign-ins change.
_TOUCHED = {("users", "last_sign_in_at"), ("known_origins", "seen_at")}
#: Rows of ``installation`` that new keys change, and keys for new purposes.
_REPLACED = {"keys", "key_lifetimes"}
_MOVING = {"audit_heads", "throttles"}  # the trail's end is verified separately, and counters continue


@dataclass(frozen=True)
class UsedStore:
    """``columns`` are those of each table in the old schema."""

    url: str
    columns: dict[str, list[str]]
    rows: Rows

    async def copy(self, folder: Path, postgres: Databases | None = None) -> str:
        """The address of a new copy."""
        if self.url.startswith("sqlite"):
            copy = folder / "m.db"
            shutil.copyfile(file_of(self.url), copy)
            return f"sqlite:///{copy}"
        assert postgres is not None
        return postgres.empty_database(database_of(self.url))

    async def is_whole(self, url: str) -> None:
        """Check that every row is unchanged. Later additions are ignored."""
        now = await _rows(url, self.columns)
        now["installation"].update(row for row in self.rows["installation"] if row[0] in _REPLACED)
        gone = {table: list((rows - now[table]).elements())[:3] for table, rows in self.rows.items()}
        assert not any(gone.values()), {table: rows for table, rows in gone.items() if rows}


async def make(release: str, url: str) -> UsedStore:
    """Create the tables of a release with its rows, and many more."""
    old = old_stores.read(release)
    await old.make(url)
    await old_stores.within(url, lambda connection: _fill(connection, old))
    columns: dict[str, list[str]] = await old_stores.within(url, _columns)
    return UsedStore(url, columns, await _rows(url, columns))


def _fill(connection: Connection, old: old_stores.OldStore) -> None:
    there = MetaData()
    there.reflect(connection)
    # A crowd's clients repeat a refresh without a response, which a strict client would reject.
    strict, lenient = ('"refreshStrict":' + value for value in ("true", "false"))
    connection.exec_driver_sql(f"UPDATE tenants SET settings = replace(settings, '{strict}', '{lenient}')")
    user = next(row for row in old.named("users") if row["tenant_id"] == 1)
    session = next(row for row in old.named("sessions") if row["tenant_id"] == 1)
    keys = [f"many-{number}@acme.example" for number in range(MANY)]
    users = [{**user, "id": 10_000 + n, "email": key, "email_key": key} for n, key in enumerate(keys)]
    connection.execute(insert(there.tables["users"]), users)
    sessions = [{**session, "id": f"s{n:021}", "cookie_hash": key, "user_id": 10_000 + n} for n, key in enumerate(keys)]
    connection.execute(insert(there.tables["sessions"]), sessions)
    newest = max((row for row in old.named("audit_events") if row["tenant_id"] == 1), key=lambda row: row["sequence"])
    events = list(_chained(newest))
    connection.execute(insert(there.tables["audit_events"]), events)
    before = next(row for row in old.named("audit_heads") if row["tenant_id"] == 1)
    end = {name: events[-1][name] for name in ("sequence", "hash", "at")}
    head = with_mac(MACS, 1, Head(**{name: before[name] for name in Head._fields})._replace(**end))
    heads = there.tables["audit_heads"]
    connection.execute(heads.update().where(heads.c.tenant_id == 1).values(head._asdict()))
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT setval(pg_get_serial_sequence('users', 'id'), {10_000 + MANY})"))


def _chained(newest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for _ in range(EVENTS):
        added = {**newest, "sequence": newest["sequence"] + 1, "previous_hash": newest["hash"]}
        newest = {**added, "hash": audit.digest(1, added)}
        yield newest


def _columns(connection: Connection) -> dict[str, list[str]]:
    there = MetaData()
    there.reflect(connection)
    return {
        table.name: [f'"{c.name}"' for c in table.columns if (table.name, c.name) not in _TOUCHED]
        for table in there.sorted_tables
        if table.name not in {*_MOVING, *old_stores.CHANGED, "alembic_version"}
    }


async def _rows(url: str, columns: dict[str, list[str]]) -> Rows:
    asked = {table: f"SELECT {', '.join(names)} FROM {table}" for table, names in columns.items()}
    if url.startswith("sqlite"):
        raw = sqlite3.connect(file_of(url))
        try:
            return {table: Counter(raw.execute(statement).fetchall()) for table, statement in asked.items()}
        finally:
            raw.close()
    remote = await asyncpg.connect(url)
    try:
        return {table: Counter(map(tuple, await remote.fetch(statement))) for table, statement in asked.items()}
    finally:
        await remote.close()


def file_of(url: str) -> str:
    """The file of an SQLite database."""
    return url.removeprefix("sqlite:///")
