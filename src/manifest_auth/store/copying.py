"""Copies of a SQLite store, made while servers write to it, and what is in one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from manifest_auth.store.store import StoreUnavailable

PAGES = 256  # in a step: some milliseconds, after which it is told how far it has come


class Head(NamedTuple):
    """Where an audit chain has come to."""

    sequence: int
    hash: str


class Row(NamedTuple):
    """An uploaded file, as its row names it."""

    key: str
    size: int
    sha256: str
    is_used: bool  # otherwise it is nobody's, and dropped after a day


class Contents(NamedTuple):
    """``rows``: how many each table has; ``chains``: heads of the audit chains, by the number of the client."""

    schema: str
    rows: dict[str, int]
    chains: dict[str, Head]


def copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """One moment of the store, as one file. ``progress``: pages copied, of so many. Raises :class:`StoreUnavailable`.

    SQLite's backup begins anew whenever another process commits, and would never end on a busy store. A read
    transaction that is open meanwhile holds on to its moment; in WAL mode that keeps no writer waiting.
    """
    with _opened(f"{source.absolute().as_uri()}?mode=ro") as store, _opened(target.absolute().as_uri()) as made:
        store.execute("PRAGMA busy_timeout=5000")
        store.execute("BEGIN")
        store.execute("SELECT version_num FROM alembic_version").fetchone()
        store.backup(made, pages=PAGES, progress=lambda _, left, of: progress(of - left, of))
        store.execute("ROLLBACK")
        made.execute("PRAGMA journal_mode=DELETE")  # the whole store is this file; the first start takes WAL up again


def damage(store: Path, *, quick: bool = False) -> list[str]:
    """What SQLite finds wrong with the file; nothing when it is whole. ``quick``: without the indexes' contents."""
    try:
        with _opened(f"{store.absolute().as_uri()}?mode=ro") as found:
            rows = found.execute("PRAGMA quick_check(10)" if quick else "PRAGMA integrity_check(10)").fetchall()
            lost = [] if quick else found.execute("PRAGMA foreign_key_check").fetchmany(10)
    except StoreUnavailable as error:
        return [str(error)]
    told = [str(text) for (text,) in rows if text != "ok"]
    return told + [f"{table}: row {row} points at a row of {other} that is not there" for table, row, other, _ in lost]


def contents(store: Path) -> Contents:
    """Raises :class:`StoreUnavailable`, also when the file is no store of ours."""
    with _opened(f"{store.absolute().as_uri()}?mode=ro") as found:
        [(schema,)] = found.execute("SELECT version_num FROM alembic_version").fetchall()
        names = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY 1"
        )
        tables = [name for (name,) in found.execute(names)]
        rows = {name: found.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608 - of the store itself
        heads = found.execute("SELECT tenant_id, sequence, hash FROM audit_heads ORDER BY tenant_id")
        return Contents(str(schema), rows, {str(tenant): Head(number, text) for tenant, number, text in heads})


def files(store: Path) -> list[Row]:
    """Of which files the bytes belong to the store. Raises :class:`StoreUnavailable`."""
    with _opened(f"{store.absolute().as_uri()}?mode=ro") as found:
        rows = found.execute("SELECT key, size, sha256, used_at IS NOT NULL FROM files ORDER BY key")
        return [Row(key, size, sha256, bool(used)) for key, size, sha256, used in rows]


def end_sessions(store: Path) -> int:
    """Ends all sessions of users and system admins: who signed out after a copy was made is signed in there."""
    with _opened(store.absolute().as_uri()) as found:
        return sum(
            found.execute(
                f"UPDATE {table} SET ended_at = created_at, end_reason = 'restored' WHERE ended_at IS NULL"  # noqa: S608
            ).rowcount
            for table in ("sessions", "admin_sessions")
        )


def note(store: Path, name: str, value: str) -> None:
    """Writes a fact about the whole installation."""
    with _opened(store.absolute().as_uri()) as found:
        found.execute("INSERT OR REPLACE INTO installation (name, value) VALUES (?, ?)", (name, value))


@contextlib.contextmanager
def _opened(address: str) -> Iterator[sqlite3.Connection]:
    try:
        raw = sqlite3.connect(address, uri=True, isolation_level=None)
        try:
            yield raw
        finally:
            raw.close()
    except (sqlite3.Error, ValueError) as error:  # ValueError: there is no version of a schema
        path = address.removeprefix("file://").partition("?")[0]
        raise StoreUnavailable(f"{path}: {error}") from error
