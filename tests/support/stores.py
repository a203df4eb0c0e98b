"""Stores with today's schema that hold nothing but what is signed with the tests' key."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from manifest_auth.store import Store, migrate
from manifest_auth.store.postgres import PostgresStore
from tests.support.run_folder import folder, locked
from tests.support.secret_keys import the_keys


def migrated(address: str) -> str:
    """Gives an empty store today's schema, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate.upgrade(address, the_keys)).result()
    return address


def fresh_store(path: Path) -> str:
    """Makes a SQLite file, a copy of one that was migrated once in this run; gives its address."""
    template, making = folder() / "migrated.db", folder() / "making.db"
    with locked("sqlite"):
        if not template.exists():
            migrated(f"sqlite:///{making}")
            making.rename(template)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(template, path)  # with its mode
    return f"sqlite:///{path}"


def on_postgres(store: Store) -> bool:
    """Whether this is PostgreSQL: several writers at a time, and announcements by ``NOTIFY``."""
    return isinstance(store, PostgresStore)
