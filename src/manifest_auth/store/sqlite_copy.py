"""Copies of an SQLite database, made while servers write to it, and reads and changes of such copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from manifest_auth.store.migrate import Schema, opened, schema_of
from manifest_auth.store.store import StoreUnavailable

PAGES = 256  # in one step of a few milliseconds, after which progress is reported


class Head(NamedTuple):
    """The latest event of an audit chain."""

    sequence: int
    hash: str


class FileRow(NamedTuple):
    """The row of an uploaded file."""

    key: str
    size: int
    sha256: str
    is_used: bool  # otherwise no job has it, and it is dropped after a day


#: Schema, number of rows by table, and latest events of the audit chains by client ID.
Contents = tuple[Schema, dict[str, int], dict[str, Head]]


def copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copies the database, as of one moment, to one file. ``progress`` receives the pages copied, and their total.
    Raises :class:`StoreUnavailable`.

    SQLite's backup starts again whenever another process commits, and would never end on a busy database. An open read
    transaction fixes the moment; in WAL mode it blocks no writer.
    """
    with opened(f"{source.absolute().as_uri()}?mode=ro") as store, opened(target.absolute().as_uri()) as made:
        store.execute("PRAGMA busy_timeout=5000")
        store.execute("BEGIN")
        store.execute("SELECT version_num FROM alembic_version").fetchone()
        store.backup(made, pages=PAGES, progress=lambda _, left, of: progress(of - left, of))
        store.execute("ROLLBACK")
        # The whole database is this file; the first start switches to WAL again.
        made.execute("PRAGMA journal_mode=DELETE")


def damage(store: Path, *, quick: bool = False) -> list[str]:
    """Returns the faults that SQLite finds in the file. ``quick``: skip the contents of indexes."""
    try:
        with opened(f"{store.absolute().as_uri()}?mode=ro") as found:
            rows = found.execute("PRAGMA quick_check(10)" if quick else "PRAGMA integrity_check(10)").fetchall()
            lost = [] if quick else found.execute("PRAGMA foreign_key_check").fetchmany(10)
    except StoreUnavailable as error:
        return [str(error)]
    damages = [str(text) for (text,) in rows if text != "ok"]
    return damages + [
        f"{table}: row {row} refers to a row of {other} that doesn't exist" for table, row, other, _ in lost
    ]


def contents(store: Path) -> Contents:
    """Returns the contents of a copy. Raises :class:`StoreUnavailable`, also if the file is not a database of this
    product."""
    with opened(f"{store.absolute().as_uri()}?mode=ro") as found:
        schema = schema_of(found)
        if schema is None:
            raise ValueError("there is no schema version")
        names = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY 1"
        )
        tables = [name for (name,) in found.execute(names)]
        rows = {name: found.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608 - of the store itself
        heads = found.execute("SELECT tenant_id, sequence, hash FROM audit_heads ORDER BY tenant_id")
        return schema, rows, {str(tenant): Head(number, text) for tenant, number, text in heads}


def files(store: Path) -> list[FileRow]:
    """Lists the uploaded files of a copy. Raises :class:`StoreUnavailable`."""
    with opened(f"{store.absolute().as_uri()}?mode=ro") as found:
        rows = found.execute("SELECT key, size, sha256, used_at IS NOT NULL FROM files ORDER BY key")
        return [FileRow(key, size, sha256, bool(used)) for key, size, sha256, used in rows]


def end_sessions(store: Path) -> int:
    """Ends all sessions in a copy, since a session that ended after the copy was made is still open there. Returns
    their number."""
    with opened(store.absolute().as_uri()) as found:
        return sum(
            found.execute(
                f"UPDATE {table} SET ended_at = created_at, end_reason = 'restored' WHERE ended_at IS NULL"  # noqa: S608 - our names
            ).rowcount
            for table in ("sessions", "admin_sessions")
        )


def change_values(store: Path, *, put: Mapping[str, str], drop: str) -> None:
    """Writes installation values into a copy, and deletes one."""
    with opened(store.absolute().as_uri()) as found:
        found.executemany("INSERT OR REPLACE INTO installation (name, value) VALUES (?, ?)", put.items())
        found.execute("DELETE FROM installation WHERE name = ?", (drop,))
