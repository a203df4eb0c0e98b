"""Query plans of the filters with which identity providers look for a user or group: none reads a whole connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from manifest_auth.clients.scim import groups, users
from tests.support.matrix import matrix
from tests.support.stores import fresh_store

FILTERS = [
    *((users, name) for name in ("user_name", "external_id", "id", "email", "email_type")),
    *((groups, name) for name in ("display_name", "external_id", "id", "member")),
]
#: How steps end that read all rows of a client or of a connection.
WHOLE = ("(tenant_id=?)", "(tenant_id=? AND connection_id=?)")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("store") / "m.db"
    fresh_store(path)
    with sqlite3.connect(path) as connection:
        yield connection


@matrix(("rows", "name"), FILTERS)
def test_a_filter_finds_its_rows_in_an_index(opened: sqlite3.Connection, rows: ModuleType, name: str) -> None:
    for statement in rows._statements(frozenset({name})):
        asked = statement.sqlite
        plan = [row[3] for row in opened.execute(f"EXPLAIN QUERY PLAN {asked.sql}", [None] * len(asked.order))]
        assert [step for step in plan if step.startswith("SCAN") or step.endswith(WHOLE)] == [], plan
