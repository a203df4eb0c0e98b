"""Keys of all tables as listed by the database: primary keys, unique indexes, and foreign keys."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

import asyncpg


class Key(NamedTuple):
    """``kind`` is `primary`, `unique`, or `foreign`; ``to`` is the table that a foreign key refers to, and its
    columns."""

    table: str
    kind: str
    columns: tuple[str, ...]
    to: str = ""
    there: tuple[str, ...] = ()


_INDEXES = """
SELECT c.relname AS table, CASE WHEN i.indisprimary THEN 'primary' ELSE 'unique' END AS kind,
       array(SELECT coalesce(a.attname, 'an expression') FROM unnest(i.indkey) WITH ORDINALITY k (number, place)
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number ORDER BY k.place) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND n.nspname = 'public'
"""
_FOREIGN = """
SELECT c.relname AS table, array(SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY k (number, place)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number ORDER BY k.place) AS columns,
       p.relname AS to, array(SELECT a.attname FROM unnest(f.confkey) WITH ORDINALITY k (number, place)
             JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = k.number ORDER BY k.place) AS there
FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
WHERE f.contype = 'f'
"""


async def keys_of(url: str) -> set[Key]:
    """The keys of every table in the database."""
    if url.startswith("sqlite"):
        raw = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            return {key for (name,) in _tables(raw) for key in _of_sqlite(raw, name)}
        finally:
            raw.close()
    remote = await asyncpg.connect(url)
    try:
        unique = [Key(row["table"], row["kind"], tuple(row["columns"])) for row in await remote.fetch(_INDEXES)]
        foreign = [
            Key(row["table"], "foreign", tuple(row["columns"]), row["to"], tuple(row["there"]))
            for row in await remote.fetch(_FOREIGN)
        ]
        return {*unique, *foreign}
    finally:
        await remote.close()


def _tables(raw: sqlite3.Connection) -> list[Any]:
    return raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()


def _of_sqlite(raw: sqlite3.Connection, table: str) -> list[Key]:
    info = raw.execute(f'PRAGMA table_info("{table}")').fetchall()
    found = [Key(table, "primary", tuple(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]))]
    for _, name, is_unique, *_ in raw.execute(f'PRAGMA index_list("{table}")').fetchall():
        columns = tuple(row[2] or "an expression" for row in raw.execute(f'PRAGMA index_info("{name}")'))
        found += [Key(table, "unique", columns)] if is_unique else []
    foreign: dict[int, list[Any]] = {}
    for row in raw.execute(f'PRAGMA foreign_key_list("{table}")').fetchall():
        foreign.setdefault(row[0], []).append(row)
    for rows in foreign.values():
        rows.sort(key=lambda row: row[1])
        found.append(Key(table, "foreign", tuple(r[3] for r in rows), rows[0][2], tuple(r[4] for r in rows)))
    return found
