"""Every statement of the code base compiles for both stores and is accepted by both."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from typing import Any

import asyncpg
import pytest

import manifest_auth
from manifest_auth.store import Bound, Crossing, Store, Unowned
from manifest_auth.store.sqlite import SqliteStore
from manifest_auth.store.statements import _MISSING, TENANT, Compiled, Statement


def statements() -> dict[str, Statement[Any]]:
    """All statements that modules of ours hold, by module and name."""
    found: dict[str, Statement[Any]] = {}
    for module_info in pkgutil.walk_packages(manifest_auth.__path__, "manifest_auth."):
        if ".migrations" in module_info.name or module_info.name.endswith("__main__"):
            continue
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            if isinstance(value, Statement) and not any(value is known for known in found.values()):
                found[f"{module_info.name}.{name}"] = value
    return found


ALL = statements()


def test_the_walk_finds_the_statements() -> None:
    assert len(ALL) > 40
    assert "manifest_auth.users.users._ADD" in ALL


@pytest.mark.parametrize("name", ALL)
def test_is_one_of_the_three_kinds_and_says_why_when_it_crosses(name: str) -> None:
    statement = ALL[name]
    assert isinstance(statement, Bound | Unowned | Crossing)
    if isinstance(statement, Crossing):
        assert len(statement.because.split()) >= 5


def _asked_for(compiled: Compiled) -> set[str]:
    """What a caller must give: the rest are constants of the statement."""
    return {name for name, default in compiled.order if default is _MISSING}


@pytest.mark.parametrize("name", ALL)
def test_compiles_for_both_stores_with_the_same_parameters(name: str) -> None:
    statement = ALL[name]
    on_sqlite, on_postgres = statement.sqlite, statement.postgres
    assert _asked_for(on_sqlite) == _asked_for(on_postgres)
    assert isinstance(statement, Bound) == (TENANT in _asked_for(on_sqlite))


@pytest.mark.parametrize("name", ALL)
async def test_is_accepted_by_the_store(store: Store, database_url: str, name: str) -> None:
    """EXPLAIN on SQLite; on PostgreSQL it is prepared, which parses, names and types it."""
    statement = ALL[name]
    if isinstance(store, SqliteStore):
        connection = sqlite3.connect(store.path)
        try:
            values = [None] * len(statement.sqlite.order)
            assert connection.execute(f"EXPLAIN {statement.sqlite.sql}", values).fetchall()
        finally:
            connection.close()
    else:
        raw = await asyncpg.connect(database_url)
        try:
            prepared = await raw.prepare(statement.postgres.sql)
            assert len(prepared.get_parameters()) == len(statement.postgres.order)
        finally:
            await raw.close()
