"""Audit downloads of any length hold only a limited number of events in memory."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, insert

from manifest_auth import tenants
from manifest_auth.audit import EventFilter, download
from manifest_auth.audit.formats import AT_ONCE
from manifest_auth.store import Store, SystemUnit, TenantStore, TenantUnit, tenant_scoped
from manifest_auth.store.tables import audit_events
from manifest_auth.tenants import TenantSettings

MANY = 3 * AT_ONCE + 7
_ADD = tenant_scoped(
    insert(audit_events).values({c.name: bindparam(c.name) for c in audit_events.c if c.name != "tenant_id"})
)


@pytest.fixture(scope="module")
async def full(store: Store) -> TenantStore:
    """A client with this many events, of which every 100th is different."""

    def make(unit: SystemUnit) -> int:
        return tenants.create(unit, "many-events", "T", TenantSettings(), 1).id

    def fill(unit: TenantUnit) -> None:
        for number in range(1, MANY + 1):
            event = "signed_out" if number % 100 == 0 else "signed_in"
            unit.change(_ADD, sequence=number, at=number, event=event, actor="anonymous", subject="user:1", address="",
                        request_id="", detail="{}", previous_hash="", hash="")  # fmt: skip

    bound = store.of(await store.write(make))
    await bound.write(fill)
    return bound


class Counting:
    """Counts the reads of a store."""

    def __init__(self, store: TenantStore) -> None:
        self._store, self.reads = store, 0

    async def read(self, work: Any) -> Any:
        self.reads += 1
        return await self._store.read(work)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_a_download_is_sent_in_parts_on_demand(full: TenantStore, form: Any) -> None:
    store: Any = Counting(full)
    sizes, reads = [], []
    async for part in download(store, EventFilter(), form):
        sizes.append(part.count(b"\n"))
        reads.append(store.reads)
    if form == "csv":
        assert (sizes.pop(0), reads.pop(0)) == (1, 0)  # the column names
    assert sizes == [AT_ONCE] * 3 + [7]
    assert reads == [1, 2, 3, 4]


async def test_a_rare_event_is_found_among_many(full: TenantStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manifest_auth.audit.query.STEP", 10)
    monkeypatch.setattr("manifest_auth.audit.query.STEPS", 2)  # pages that end before they are full, and continue
    found = b"".join([part async for part in download(full, EventFilter(event="signed_out"), "jsonl")])
    assert found.count(b"\n") == MANY // 100


async def test_a_client_without_events_gets_an_empty_file(store: Store) -> None:
    bound = store.of(987654)
    assert [part async for part in download(bound, EventFilter(), "jsonl")] == []
    assert [part.count(b"\n") async for part in download(bound, EventFilter(), "csv")] == [1]
