"""Writes rows that violate foreign keys, like someone who turned the keys off in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from manifest_auth.store import SystemUnit

T = TypeVar("T")


async def without_keys(url: str, work: Callable[[SystemUnit], T]) -> T:
    """Run the unit of work in a transaction without foreign key checks."""
    if url.startswith("sqlite"):
        from manifest_auth.store.sqlite import SqliteConnection

        local = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=10)
        try:
            local.execute("PRAGMA foreign_keys = OFF")
            local.execute("BEGIN IMMEDIATE")
            found = work(SystemUnit(SqliteConnection(local, None)))
            local.execute("COMMIT")
            return found
        finally:
            local.close()
    from sqlalchemy.util.concurrency import greenlet_spawn

    from manifest_auth.store.postgres import PostgresConnection
    from manifest_auth.store.postgres_connections import connect

    remote = await connect(url)
    try:
        await remote.execute("SET session_replication_role = replica")
        async with remote.transaction():
            return await greenlet_spawn(work, SystemUnit(PostgresConnection(remote, None, has_begun=True)))
    finally:
        await remote.close()
