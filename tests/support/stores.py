"""Databases with the current schema and no data except what the tests' key signs."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.runtime import logs
from manifest_auth.store import Store, migrate, open_store
from manifest_auth.store.postgres import PostgresStore
from tests.support.run_folder import folder, locked
from tests.support.secret_keys import the_keys


def migrated(address: str) -> str:
    """Migrate an empty database to the current schema, even if an event loop is already running."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate.upgrade(address, the_keys)).result()
    return address


def fresh_store(path: Path) -> str:
    """Create a SQLite file as a copy of one that was migrated once in this run; returns its address."""
    template, making = folder() / "migrated.db", folder() / "making.db"
    with locked("sqlite"):
        if not template.exists():
            migrated(f"sqlite:///{making}")
            making.rename(template)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(template, path)  # keeps the file's mode
    return f"sqlite:///{path}"


#: For tests of PostgreSQL only.
ONLY_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="module")


@contextlib.asynccontextmanager
async def serving(url: str, *, wakes: bool = True, pool: int = 2, log: Any = None) -> AsyncIterator[Store]:
    """A store like that of a separate serving process, once it can cache what it reads."""
    store = open_store(url, pool)
    await store.open()
    try:
        await store.join(url, log or logs.build("error"), wakes=wakes)
        await until(lambda: store.version() is not None)
        yield store
    finally:
        await store.close()


async def until(happened: Callable[[], bool]) -> None:
    """Wait until the condition is true; fail after a minute."""
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.002)


def on_postgres(store: Store) -> bool:
    """Whether this is PostgreSQL, with concurrent writers and announcements stored as rows."""
    return isinstance(store, PostgresStore)


async def schema_number(url: str) -> str | None:
    """The schema number of a database; None if it's empty."""
    found = await migrate.find_schema(url)
    return found and found.number
