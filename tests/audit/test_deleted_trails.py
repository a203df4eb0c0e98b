"""If a client's audit trail was deleted completely, with the records of its start and end, it's reported as missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from manifest_auth import audit, tenants
from manifest_auth import audit as trail
from manifest_auth.audit import Event, Origin, Point
from manifest_auth.store import Store, SystemUnit, open_store
from manifest_auth.tenants import TenantSettings
from tests.audit.conftest import Chain
from tests.support.matrix import matrix
from tests.support.postgres import Databases
from tests.support.rules import rule
from tests.support.secret_keys import MACS
from tests.support.stores import fresh_store

NAMES = ("first", "second", "third")
GONE_WHOLE = "the whole chain is missing, including the record of its end"
NO_EVENTS = "the chain has no events, not even the first one"
EVERYTHING = ("audit_events", "audit_heads", "audit_anchors")


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A separate database for each test."""
    if request.param == "sqlite":
        return fresh_store(tmp_path / "test.db")
    server: Databases = request.getfixturevalue("postgres")
    return server.fresh_database()


@pytest.fixture
async def store(fresh_url: str) -> AsyncIterator[Store]:
    opened = open_store(fresh_url, 4, macs=MACS)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def chains(store: Store, fresh_url: str) -> list[Chain]:
    """Three clients with six events each."""

    def create(unit: SystemUnit, name: str) -> int:
        origin = Origin(1_000, "system", "192.0.2.1", "r")
        audit.record_installation(unit, origin, Event.ADMIN_CREATED, "admin:1")
        made = tenants.create(unit, name, name, TenantSettings(), 1)
        audit.record_creation(unit, made.id, origin, identifier=name)
        return made.id

    made = []
    for name in NAMES:
        number = await store.write(lambda unit: create(unit, name))  # noqa: B023 - awaited at once
        made.append(Chain(store, fresh_url, number))
        await made[-1].grow(5, at=2_000)
    return made


async def found(store: Store, known: dict[int, Point] | None = None) -> dict[int, list[str]]:
    """The messages about all faults, by trail, without intact trails."""
    verdicts = await trail.verify_all(store, lambda _: None, known or {})
    return {one.chain: [fault.what for fault in one.faults] for one in verdicts if one.faults}


async def wipe(chain: Chain, *more: str) -> None:
    """Delete everything that exists of a trail, and any other given rows."""
    await chain.by_hand(*(f"DELETE FROM {table} WHERE tenant_id = {{c}}" for table in EVERYTHING), *more)


async def test_no_chain_is_reported_missing_if_none_was_deleted(store: Store, chains: list[Chain]) -> None:
    assert await found(store) == {}


@matrix("which", range(3), ids=NAMES)
async def test_the_missing_trail_of_an_existing_client_is_reported(chains: list[Chain], which: int) -> None:
    """Even if only that client's trail is verified."""
    await wipe(chains[which])
    verdict = await chains[which].verdict()
    assert [(fault.sequence, fault.kind, fault.what) for fault in verdict.faults] == [(1, "missing", NO_EVENTS)]


@rule("AUDIT-TRAIL")
@matrix("which", range(3), ids=NAMES)
async def test_a_missing_trail_is_reported_by_the_chain_that_links_to_it(
    store: Store, chains: list[Chain], which: int
) -> None:
    await wipe(chains[which])
    assert await found(store) == {chains[which].number: [GONE_WHOLE, NO_EVENTS]}


@matrix("which", range(3), ids=NAMES)
async def test_a_missing_trail_of_a_deleted_client_is_reported(store: Store, chains: list[Chain], which: int) -> None:
    await wipe(chains[which], "DELETE FROM tenants WHERE id = {c}")
    assert await found(store) == {chains[which].number: [GONE_WHOLE]}


async def test_each_of_several_missing_trails_is_reported(store: Store, chains: list[Chain]) -> None:
    """The second trail contained the link to the first, and was deleted with it."""
    await wipe(chains[0])
    await wipe(chains[1])
    faults = await found(store)
    assert list(faults) == [chain.number for chain in chains[:2]]
    assert all(NO_EVENTS in told for told in faults.values())


_PUT_IN = (
    "INSERT INTO audit_heads (tenant_id, sequence, hash, at, previous_chain, doubts, mac)"
    " SELECT 99, sequence, hash, at, 0, doubts, mac FROM audit_heads WHERE tenant_id = {c}"
)
BY_HAND = "doesn't match any secret key"


async def test_an_inserted_chain_lacks_the_key(store: Store, chains: list[Chain]) -> None:
    await chains[0].by_hand(_PUT_IN)
    [told] = (await found(store))[99]
    assert BY_HAND in told


async def test_an_inserted_chain_does_not_replace_a_missing_one(store: Store, chains: list[Chain]) -> None:
    await chains[0].by_hand(_PUT_IN)
    await wipe(chains[1], "DELETE FROM tenants WHERE id = {c}")
    faults = await found(store)
    assert faults[chains[1].number] == [GONE_WHOLE]
    assert BY_HAND in faults[99][0]


async def test_a_link_that_was_repaired_by_hand_lacks_the_key(store: Store, chains: list[Chain]) -> None:
    await wipe(chains[1], "DELETE FROM tenants WHERE id = {c}")
    mend = f"UPDATE audit_heads SET previous_chain = {chains[0].number} WHERE tenant_id = {{c}}"
    await chains[2].by_hand(mend)
    faults = await found(store)
    assert list(faults) == [chains[2].number]
    assert BY_HAND in faults[chains[2].number][0]


async def test_later_events_do_not_hide_a_missing_chain(store: Store, chains: list[Chain]) -> None:
    await wipe(chains[0])
    await chains[0].grow(3, at=9_000)
    assert [(fault.sequence, fault.kind) for fault in (await chains[0].verdict()).faults] == [(1, "missing")]
    assert chains[0].number in await found(store)


async def test_a_missing_recorded_tip_is_reported(store: Store, chains: list[Chain]) -> None:
    noted = {chain.number: (await chain.verdict()).end for chain in chains}
    assert [end.sequence for end in noted.values()] == [6, 6, 6]
    await wipe(chains[2], "DELETE FROM tenants WHERE id = {c}", "DELETE FROM audit_heads WHERE tenant_id = 0")
    faults = await found(store, noted)
    assert "the event is missing, but existed earlier" in faults[chains[2].number]
