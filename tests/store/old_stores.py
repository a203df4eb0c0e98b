"""Databases filled by earlier releases: their content, and how to recreate them on either database."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, create_engine, insert, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from manifest_auth.store import migrate
from manifest_auth.store.tables import metadata
from tests.support.secret_keys import the_keys
from tests.support.stores import schema_number

#: The existing databases, by release version, in no particular order.
STORES = tuple(path.stem.partition("_")[2] for path in Path(__file__).parent.glob("store_*.json"))
#: The row that an upgrade itself changes: the programs that can use the database.
CHANGED = {"schema_state"}
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class OldStore:
    """``schema`` is the release's schema. ``keys`` are tokens and cookies of the database's users."""

    schema: str
    keys: dict[str, Any]
    rows: Rows

    def named(self, table: str) -> list[dict[str, Any]]:
        """The rows that a table had."""
        return self.rows[table]

    def is_as_it_was(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Whether the table still has exactly these rows, in its original columns."""
        before = self.named(table)
        names = set(before[0]) if before else set()
        kept = [[{name: row[name] for name in names} for row in some] for some in (before, rows)]
        assert as_a_set(kept[1]) == as_a_set(kept[0])

    async def make(self, url: str) -> None:
        """Create the tables of that schema from scratch, and insert the rows."""
        await within(url, self._make)
        assert await schema_number(url) == self.schema

    async def upgraded(self, url: str) -> Rows:
        """Create the database from scratch and upgrade it; returns its tables' rows."""
        await self.make(url)
        return await self.upgraded_here(url)

    async def upgraded_here(self, url: str) -> Rows:
        """Upgrade the database in place."""
        assert await migrate.upgrade(url, the_keys) is True
        return await self.found(url)

    async def found(self, url: str) -> Rows:
        """The current rows of those tables, by current columns."""
        found: Rows = await within(url, self._found)
        return found

    def _make(self, connection: Connection) -> None:
        command.upgrade(alembic(connection), self.schema)
        there = MetaData()
        there.reflect(connection)
        for table in (there.tables[t.name] for t in metadata.sorted_tables if t.name in self.rows):
            connection.execute(table.delete())  # the revision itself numbers the installation
            if rows := self.rows[table.name]:
                connection.execute(insert(table), rows)
            if connection.dialect.name == "postgresql" and rows and isinstance(rows[0].get("id"), int):
                # As pg_dump does; SQLite keeps track of the largest ID automatically.
                newest = max(row["id"] for row in rows)
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {newest})"))

    def _found(self, connection: Connection) -> Rows:
        found = {}
        for name in self.rows:
            table = metadata.tables[name]
            rows = connection.execute(select(table).order_by(*table.primary_key.columns))
            found[name] = [
                dict(row._mapping) for row in rows if migrate.UPGRADED not in row
            ]  # the records that an upgrade makes about itself
        return found


def read(name: str) -> OldStore:
    """The database that this version's release filled, from ``store_VERSION.json``."""
    held = json.loads((Path(__file__).parent / f"store_{name}.json").read_text("utf-8"))
    rows = {table: opened(some) for table, some in held["rows"].items()}
    return OldStore(held["schema"], held["keys"], rows)


def alembic(connection: Connection) -> Config:
    """The configuration for alembic commands with the project's migrations and this connection."""
    config = Config(attributes={"connection": connection, "keys": the_keys})
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    return config


def as_a_set(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in a canonical order."""
    return sorted(rows, key=lambda row: sorted((name, str(value)) for name, value in row.items()))


def opened(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Decode rows of the file to database values."""
    return [dict(_cells(row)) for row in rows]


def closed(rows: list[dict[str, Any]]) -> str:
    """Encode database values as text, the reverse of :func:`opened`."""
    return json.dumps(rows, default=lambda raw: {"base64": base64.b64encode(raw).decode()})


def _cells(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        yield name, base64.b64decode(value["base64"]) if isinstance(value, dict) else value


async def within(url: str, work: Any) -> Any:
    """Call ``work`` with a connection in a transaction, and return its result."""
    if url.startswith("sqlite"):
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            return work(connection)
    remote = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    async with remote.begin() as opened:
        return await opened.run_sync(work)
