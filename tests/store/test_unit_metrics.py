"""Metrics of units of work: their duration by kind, and the number that waited too long."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from manifest_auth.store import StoreUnavailable, SystemUnit, open_store, sqlite
from tests.support.stores import fresh_store


async def test_units_of_work_are_timed_and_what_waits_too_long_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MS", 200)
    monkeypatch.setitem(sqlite.connect.__kwdefaults__, "busy_ms", 200)  # type: ignore[arg-type]
    store = open_store(fresh_store(tmp_path / "m.db"), 1)
    await store.open()
    registry = store._metrics.registry
    other = sqlite3.connect(tmp_path / "m.db", isolation_level=None)

    def nothing(_: SystemUnit) -> None: ...

    try:
        await store.read(nothing)
        await store.write(nothing)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await store.write(nothing)
    finally:
        other.close()
        await store.close()
    sample = registry.get_sample_value
    assert [sample("manifest_store_seconds_count", {"unit": unit}) for unit in ("read", "write", "look_up")] == [
        1,
        2,
        0,
    ]
    for name in ("manifest_store_seconds_sum", "manifest_store_wait_seconds_sum"):
        assert (sample(name, {"unit": "write"}) or 0) >= 0.2, name  # all of it was waiting time
        assert (sample(name, {"unit": "read"}) or 9) < (sample(name, {"unit": "write"}) or 0), name
    failures = "manifest_store_failures_total"
    assert sample(failures, {"unit": "write", "why": "busy"}) == 1
    assert sample(failures, {"unit": "write", "why": "unavailable"}) == 0
