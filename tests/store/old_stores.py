"""Stores made and filled by releases: what they held, and how to make them again on each database."""

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

#: The stores that there are, by the version of the release, in no order.
STORES = tuple(path.stem.partition("_")[2] for path in Path(__file__).parent.glob("store_*.json"))
#: What an upgrade itself changes: which programs can use the store.
CHANGED = {"schema_state"}
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class OldStore:
    """``schema``: that of the release. ``keys``: tokens and cookies that users of the store have."""

    schema: str
    keys: dict[str, Any]
    rows: Rows

    def named(self, table: str) -> list[dict[str, Any]]:
        """The rows that a table had."""
        return self.rows[table]

    def is_as_it_was(self, table: str, rows: list[dict[str, Any]]) -> None:
        """All rows of that time and no others, in the columns of that time."""
        before = self.named(table)
        names = set(before[0]) if before else set()
        kept = [[{name: row[name] for name in names} for row in some] for some in (before, rows)]
        assert as_a_set(kept[1]) == as_a_set(kept[0])

    async def make(self, url: str) -> None:
        """The tables of that schema, from nothing, and the rows."""
        await within(url, self._make)
        assert await schema_number(url) == self.schema

    async def upgraded(self, url: str) -> Rows:
        """Makes the store in an empty database and upgrades it; the rows of its tables afterward."""
        await self.make(url)
        return await self.upgraded_here(url)

    async def upgraded_here(self, url: str) -> Rows:
        """Upgrades it where it is."""
        assert await migrate.upgrade(url, the_keys) is True
        return await self.found(url)

    async def found(self, url: str) -> Rows:
        """The content of those tables now, by their columns of today."""
        found: Rows = await within(url, self._found)
        return found

    def _make(self, connection: Connection) -> None:
        command.upgrade(alembic(connection), self.schema)
        there = MetaData()
        there.reflect(connection)
        for table in (there.tables[t.name] for t in metadata.sorted_tables if t.name in self.rows):
            connection.execute(table.delete())  # the revision itself gives the installation a number
            if rows := self.rows[table.name]:
                connection.execute(insert(table), rows)
            if connection.dialect.name == "postgresql" and rows and isinstance(rows[0].get("id"), int):
                # As pg_dump does; SQLite takes note of the largest id on its own.
                newest = max(row["id"] for row in rows)
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {newest})"))

    def _found(self, connection: Connection) -> Rows:
        found = {}
        for name in self.rows:
            table = metadata.tables[name]
            rows = connection.execute(select(table).order_by(*table.primary_key.columns))
            found[name] = [
                dict(row._mapping) for row in rows if migrate.UPGRADED not in row
            ]  # what an upgrade notes of itself
        return found


def read(name: str) -> OldStore:
    """The store that the release of that version filled, from ``store_VERSION.json``."""
    held = json.loads((Path(__file__).parent / f"store_{name}.json").read_text("utf-8"))
    rows = {table: opened(some) for table, some in held["rows"].items()}
    return OldStore(held["schema"], held["keys"], rows)


def alembic(connection: Connection) -> Config:
    """The configuration for alembic's commands: the project's migrations on this connection."""
    config = Config(attributes={"connection": connection, "keys": the_keys})
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    return config


def as_a_set(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in an order that says nothing."""
    return sorted(rows, key=lambda row: sorted((name, str(value)) for name, value in row.items()))


def opened(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the file as the store holds them."""
    return [dict(_cells(row)) for row in rows]


def closed(rows: list[dict[str, Any]]) -> str:
    """The same the other way round, as text."""
    return json.dumps(rows, default=lambda raw: {"base64": base64.b64encode(raw).decode()})


def _cells(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        yield name, base64.b64decode(value["base64"]) if isinstance(value, dict) else value


async def within(url: str, work: Any) -> Any:
    """The result of ``work``, which gets a connection with a transaction open."""
    if url.startswith("sqlite"):
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            return work(connection)
    remote = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    async with remote.begin() as opened:
        return await opened.run_sync(work)
