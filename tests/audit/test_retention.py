"""Audit retention removes the beginning of a trail in limited steps, and the rest can still be verified."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from manifest_auth import audit
from manifest_auth.audit import Event, upkeep
from manifest_auth.maintenance.background_jobs import sweep_audit
from manifest_auth.store import Store
from tests.audit.conftest import Chain, begun
from tests.support.accounts import new_client, new_user
from tests.support.accounts import trail as events_of
from tests.support.application import running
from tests.support.matrix import matrix
from tests.support.rules import rule

DAY = 86_400


async def test_old_events_are_removed_and_the_rest_verifies(store: Store, chain: Chain) -> None:
    # nine events, one second apart, starting at 1,000
    assert (await audit.sweep(store, before=6_000, now=50_000)).removed >= 5
    verdict = await chain.verdict()
    assert verdict.faults == []
    assert (verdict.start.sequence, verdict.end.sequence, verdict.events) == (5, 10, 5)
    await chain.grow(2)
    assert (await chain.verdict()).faults == []


async def test_retention_records_an_event(store: Store, chain: Chain) -> None:
    noted = await chain.verdict()
    await audit.sweep(store, before=6_000, now=50_000)
    lines = [line async for some in audit.export(store, [chain.number]) for line in some.lines]
    assert b'"audit_swept"' in lines[-1]
    assert b'"sequence":5' in lines[-1].partition(b'"detail":')[2]
    assert b'"at":"1970-01-01T00:00:50.000Z"' in lines[-1]
    assert (await chain.verdict(noted.end)).faults == []


async def test_newer_events_stay_and_nothing_is_swept_twice(store: Store, chain: Chain) -> None:
    assert (await audit.sweep(store, before=1_000, now=50_000)).removed == 0
    assert (await chain.verdict()).events == 9
    await audit.sweep(store, before=6_000, now=50_000)
    end = (await chain.verdict()).end
    assert (await audit.sweep(store, before=6_000, now=50_000)).removed == 0
    assert (await chain.verdict()).end == end


async def test_all_events_can_be_removed_except_the_record_of_it(store: Store, chain: Chain) -> None:
    for now in (10_000_000, 20_000_000, 30_000_000):
        await audit.sweep(store, before=now - 1, now=now)
    verdict = await chain.verdict()
    assert verdict.faults == []
    assert (verdict.start.sequence, verdict.end.sequence) == (9, 10)
    await chain.grow(1, at=30_000_000)
    assert (await chain.verdict()).faults == []


@matrix("batch", [1, 2, 4])
async def test_retention_works_in_steps(
    store: Store, chain: Chain, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(upkeep, "STEP", batch)
    await audit.sweep(store, before=9_000, now=50_000)
    verdict = await chain.verdict()
    assert verdict.faults == []
    assert verdict.start.sequence == 8
    assert verdict.end.sequence == 9 + 8 // batch


async def test_a_round_ends_in_time_and_the_next_goes_on(
    store: Store, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "STEP", 2)
    done = [await audit.sweep(store, before=9_000, now=50_000, round_s=0) for _ in range(5)]
    assert done[:4] == [(2, False)] * 4
    assert done[4].is_complete
    assert (await chain.verdict()).faults == []


async def test_pauses_are_four_times_as_long_as_each_step(
    store: Store, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock advances by a tenth of a second whenever it's read."""
    paused: list[float] = []
    times = itertools.count(0, 0.1)

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr(upkeep, "STEP", 2)
    monkeypatch.setattr(upkeep, "monotonic", lambda: next(times))
    monkeypatch.setattr(upkeep, "asyncio", SimpleNamespace(sleep=sleep))
    await audit.sweep(store, before=9_000, now=50_000)
    monkeypatch.undo()
    assert len(paused) >= 4
    assert paused == pytest.approx([0.4] * len(paused))


async def test_many_chains_are_all_swept(store: Store, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "CHAINS", 2)
    others = [await begun(store, chain.url, chain.number + 10_000 + n) for n in range(5)]
    await audit.sweep(store, before=6_000, now=50_000)
    for one in (chain, *others):
        assert (await one.verdict()).start.sequence == 5


#: After retention: the manual change, and the finding.
ACTS = {
    "the anchor removed": ("DELETE FROM audit_anchors WHERE tenant_id = {c}", [(1, "broken")]),
    "the anchor moved on, with what it hides": (
        "UPDATE audit_anchors SET sequence = 6, hash = (SELECT hash FROM audit_events WHERE tenant_id = {c} AND"
        " sequence = 6) WHERE tenant_id = {c}; DELETE FROM audit_events WHERE tenant_id = {c} AND sequence = 6",
        [(6, "anchor")],
    ),
    "the anchor altered": (
        "UPDATE audit_anchors SET hash = 'x' WHERE tenant_id = {c}",
        [(5, "anchor"), (6, "broken")],
    ),
    "the anchor's MAC removed": ("UPDATE audit_anchors SET mac = '' WHERE tenant_id = {c}", [(5, "anchor")]),
    "the next event removed": ("DELETE FROM audit_events WHERE tenant_id = {c} AND sequence = 6", [(6, "broken")]),
    "the event of retention removed": (
        "DELETE FROM audit_events WHERE tenant_id = {c} AND sequence = 10",
        [(10, "broken")],
    ),
}


@rule("AUDIT-TRAIL")
@matrix("act", ACTS)
async def test_tampering_is_found_after_retention_too(store: Store, chain: Chain, act: str) -> None:
    await audit.sweep(store, before=6_000, now=50_000)
    statements, expected = ACTS[act]
    await chain.by_hand(*statements.split(";"))
    assert await chain.faults() == expected


async def test_a_chain_is_verified_while_it_is_swept(
    store: Store, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention deletes events that a reader hasn't reached yet, so the reader continues after the anchor."""
    monkeypatch.setattr("manifest_auth.audit.chains.BATCH", 2)
    reads = 0
    real = type(store).read

    async def reading(self: Store, work: object) -> object:
        nonlocal reads
        reads += 1
        if reads == 3:  # four events have been read
            monkeypatch.setattr(type(store), "read", real)
            await audit.sweep(store, before=8_000, now=50_000)
        return await real(self, work)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store), "read", reading)
    verdict = await chain.verdict()
    assert reads == 3
    assert (verdict.start.sequence, verdict.end.sequence, verdict.faults) == (7, 10, [])


async def test_the_setting_limits_retention_and_the_default_is_forever(database_url: str) -> None:
    async with running(database_url) as app:
        client = await new_client(app)
        app.clock.advance(3650 * DAY)
        await sweep_audit(app.services)
        assert [event.event for event in await events_of(app, client)] == ["client_created"]
    async with running(database_url, MANIFEST_AUDIT_DAYS="30") as app:
        client = await new_client(app)
        app.clock.advance(29 * DAY)
        await new_user(app, client)
        await sweep_audit(app.services)
        assert [event.event for event in await events_of(app, client)] == ["client_created", "user_created"]
        app.clock.advance(2 * DAY)
        await sweep_audit(app.services)
        assert [event.event for event in await events_of(app, client)] == ["user_created", Event.AUDIT_SWEPT.value]
        verdicts = [
            await audit.verify(app.services.store, n, lambda _: None)
            for n in await audit.all_chains(app.services.store)
        ]
        faulty = [verdict for verdict in verdicts if verdict.faults]
        assert {verdict.client for verdict in faulty} <= {"acme", "globex"}  # nobody created them, in tests
