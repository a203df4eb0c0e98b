"""The rows of ``bench.work`` match the current tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bench import work_rows as rows
from tests.support.stores import fresh_store


def test_every_table_is_filled_as_it_is_today(tmp_path: Path) -> None:
    url = fresh_store(tmp_path / "m.db")
    clients = rows.layout([rows.Size(users=30, templates=10, jobs=10, records=5)] * 2)
    rows.fill_sqlite(url.removeprefix("sqlite:///"), clients)
    raw = sqlite3.connect(url.removeprefix("sqlite:///"))
    assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    assert raw.execute("SELECT tenant_id, count(*) FROM users WHERE tenant_id >= 1000 GROUP BY 1").fetchall() == [
        (clients[0].number, 30), (clients[1].number, 30)
    ]  # fmt: skip
    raw.close()
