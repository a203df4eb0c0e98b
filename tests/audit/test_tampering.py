"""Manual changes to the audit trail are detected, and ``audit verify`` names what was changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from manifest_auth import audit
from manifest_auth import audit as trail
from manifest_auth.audit import chains
from manifest_auth.store import Store, cross_tenant
from manifest_auth.store.tables import audit_events
from tests.audit.conftest import Chain, begun
from tests.support.matrix import matrix
from tests.support.rules import rule

_EVENTS = "audit_events WHERE tenant_id = {c}"
_SET = "UPDATE audit_events SET"
_AT = "WHERE tenant_id = {c} AND sequence ="
_COPY = (
    "INSERT INTO audit_events (tenant_id, sequence, at, event, actor, subject, address, request_id, detail,"
    " previous_hash, hash) SELECT tenant_id, {to}, at, 'signed_out', actor, subject, address, request_id, detail,"
    " previous_hash, hash FROM audit_events WHERE tenant_id = {c} AND sequence = {of}"
)


def _copied(of: int, to: int) -> str:
    return _COPY.replace("{of}", str(of)).replace("{to}", str(to))


async def test_an_unchanged_chain_has_no_fault(chain: Chain) -> None:
    verdict = await chain.verdict()
    assert verdict.faults == []
    assert (verdict.events, verdict.start.sequence, verdict.end.sequence) == (9, 0, 9)


#: By the change: its SQL, and the findings.
ACTS: dict[str, tuple[list[str], list[tuple[int, str]]]] = {
    "one in the middle removed": ([f"DELETE FROM {_EVENTS} AND sequence = 5"], [(5, "broken")]),
    "the first removed": ([f"DELETE FROM {_EVENTS} AND sequence = 1"], [(1, "broken")]),
    "the first three removed": ([f"DELETE FROM {_EVENTS} AND sequence <= 3"], [(1, "broken")]),
    "the last removed": ([f"DELETE FROM {_EVENTS} AND sequence = 9"], [(9, "broken")]),
    "the last four removed": ([f"DELETE FROM {_EVENTS} AND sequence > 5"], [(6, "broken")]),
    "all removed": ([f"DELETE FROM {_EVENTS}"], [(1, "broken")]),
    "removed, and later ones renumbered": (
        [
            f"DELETE FROM {_EVENTS} AND sequence = 5",
            *(f"{_SET} sequence = {n - 1} {_AT} {n}" for n in range(6, 10)),
        ],
        [(5, "broken")],
    ),
    "the last but one removed, and the last renumbered": (
        [f"DELETE FROM {_EVENTS} AND sequence = 8", f"{_SET} sequence = 8 {_AT} 9"],
        [(8, "broken")],
    ),
    **{
        f"{column} altered": ([f"{_SET} {column} = {value} {_AT} 5"], [(5, "broken")])
        for column, value in {
            "at": "at + 1",
            "event": "'signed_out'",
            "actor": "'user:99'",
            "subject": "''",
            "address": "'192.0.2.2'",
            "request_id": "'other'",
            "detail": "'{}'",
            "previous_hash": "hash",
            "hash": "previous_hash",
        }.items()
    },
    "the first altered": ([f"{_SET} actor = 'user:99' {_AT} 1"], [(1, "broken")]),
    "the last altered": ([f"{_SET} actor = 'user:99' {_AT} 9"], [(9, "broken")]),
    "two altered": ([f"{_SET} actor = 'x' {_AT} 3", f"{_SET} actor = 'x' {_AT} 7"], [(3, "broken")]),
    "two neighbours swapped": (
        [f"{_SET} sequence = 0 {_AT} 4", f"{_SET} sequence = 4 {_AT} 5", f"{_SET} sequence = 5 {_AT} 0"],
        [(4, "broken")],
    ),
    "two far from each other swapped": (
        [f"{_SET} sequence = 0 {_AT} 2", f"{_SET} sequence = 2 {_AT} 8", f"{_SET} sequence = 8 {_AT} 0"],
        [(2, "broken")],
    ),
    "one put in, and later ones renumbered": (
        [*(f"{_SET} sequence = {n + 1} {_AT} {n}" for n in range(9, 4, -1)), _copied(4, 5)],
        [(5, "broken")],
    ),
    "one put in behind the end": ([_copied(9, 10)], [(10, "broken")]),
    "one put in before the beginning": ([_copied(1, 0)], [(1, "broken")]),
    "the head removed": (["DELETE FROM audit_heads WHERE tenant_id = {c}"], [(9, "head")]),
    "the head moved back, with the end": (
        [
            f"DELETE FROM {_EVENTS} AND sequence = 9",
            "UPDATE audit_heads SET sequence = 8 WHERE tenant_id = {c}",
        ],
        [(8, "head")],
    ),
    "the head altered": (["UPDATE audit_heads SET hash = 'x' WHERE tenant_id = {c}"], [(9, "head")]),
    "the head's MAC removed": (["UPDATE audit_heads SET mac = '' WHERE tenant_id = {c}"], [(9, "head")]),
    "the head's time altered": (["UPDATE audit_heads SET at = at + 1 WHERE tenant_id = {c}"], [(9, "head")]),
    "the end cut off, and the head mended": (
        [
            f"DELETE FROM {_EVENTS} AND sequence > 5",
            "UPDATE audit_heads SET sequence = 5, hash = (SELECT hash FROM audit_events WHERE tenant_id = {c} AND"
            " sequence = 5) WHERE tenant_id = {c}",
        ],
        [(5, "head")],
    ),
    "all of it taken for that of a deleted client": (
        [f"DELETE FROM {_EVENTS}", "UPDATE audit_heads SET gone_at = 1 WHERE tenant_id = {c}"],
        [(0, "head")],
    ),
    "an anchor made up to hide that the beginning is gone": (
        [
            "INSERT INTO audit_anchors (tenant_id, sequence, hash, mac)"
            " SELECT tenant_id, sequence, hash, '' FROM audit_events WHERE tenant_id = {c} AND sequence = 3",
            f"DELETE FROM {_EVENTS} AND sequence <= 3",
        ],
        [(3, "anchor")],
    ),
}


@rule("AUDIT-TRAIL")
@matrix("act", ACTS)
@matrix("batch", [2, 2000])
async def test_manual_changes_are_reported(chain: Chain, monkeypatch: pytest.MonkeyPatch, act: str, batch: int) -> None:
    monkeypatch.setattr(chains, "BATCH", batch)
    statements, expected = ACTS[act]
    await chain.by_hand(*statements)
    assert await chain.faults() == expected
    assert all(fault.what for fault in (await chain.verdict()).faults)


async def test_an_event_with_a_recomputed_hash_is_reported(chain: Chain) -> None:
    """The next event contains a different hash."""
    await _rehash(chain, 5, actor="user:99")
    assert await chain.faults() == [(6, "broken")]


async def test_a_recomputed_last_event_is_reported(chain: Chain) -> None:
    await _rehash(chain, 9, actor="user:99")
    assert await chain.faults() == [(9, "broken")]


async def _rewrite(chain: Chain, first: int, actor: str) -> None:
    """Rewrite all events from there on, and the tip, as an attacker who knows the hash format but has no key."""
    before = await _hash_of(chain, first - 1)
    for number in range(first, 10):
        event = {**await _stored(chain, number), "previous_hash": before, "actor": actor}
        before = audit.digest(chain.number, event)
        given = f"actor = '{actor}', previous_hash = '{event['previous_hash']}', hash = '{before}'"
        await chain.by_hand(f"{_SET} {given} {_AT} {number}")
    await chain.by_hand(f"UPDATE audit_heads SET hash = '{before}' WHERE tenant_id = {{c}}")


@rule("AUDIT-TRAIL")
async def test_a_rewritten_chain_and_head_lack_the_key(chain: Chain) -> None:
    noted = (await chain.verdict()).end
    await _rewrite(chain, 5, "user:99")
    assert await chain.faults() == [(9, "head")]
    assert [(f.sequence, f.kind) for f in (await chain.verdict(noted)).faults] == [(8, "head"), (9, "broken")]


async def test_the_next_event_does_not_hide_a_fault(chain: Chain) -> None:
    """A server that keeps recording signs its own events, but never those inserted before them."""
    await _rewrite(chain, 5, "user:99")
    await chain.grow(2, at=20_000)
    assert await chain.faults() == [(9, "head")]
    await chain.by_hand("UPDATE audit_heads SET doubts = '' WHERE tenant_id = {c}")
    await chain.grow(2, at=30_000)
    assert await chain.faults() == [(11, "head")]


async def test_a_truncated_chain_with_its_head_lacks_the_key(chain: Chain) -> None:
    noted = (await chain.verdict()).end
    await chain.by_hand(
        f"DELETE FROM {_EVENTS} AND sequence > 7",
        f"UPDATE audit_heads SET sequence = 7, hash = '{await _hash_of(chain, 7)}' WHERE tenant_id = {{c}}",
    )
    assert await chain.faults() == [(7, "head")]
    assert [(f.sequence, f.kind) for f in (await chain.verdict(noted)).faults] == [(7, "head"), (8, "broken")]
    await chain.grow(3)
    assert await chain.faults() == [(7, "head")]
    assert [(f.sequence, f.kind) for f in (await chain.verdict(noted)).faults] == [(7, "head"), (9, "broken")]


async def test_a_chain_reset_to_an_older_tip_contradicts_a_later_record(chain: Chain) -> None:
    """This is a limit of MACs: an old state that an attacker kept is still signed. A tip recorded elsewhere reveals
    it."""
    names = ("sequence", "hash", "at", "previous_chain", "doubts", "mac")
    [row] = await chain.rows(f"SELECT {', '.join(names)} FROM audit_heads WHERE tenant_id = {{c}}")
    await chain.grow(2, at=20_000)
    noted = (await chain.verdict()).end
    old = ", ".join(f"{name} = '{value}'" for name, value in zip(names, row, strict=True))
    await chain.by_hand(
        f"DELETE FROM {_EVENTS} AND sequence > 9", f"UPDATE audit_heads SET {old} WHERE tenant_id = {{c}}"
    )
    assert await chain.faults() == []
    assert [(f.sequence, f.kind) for f in (await chain.verdict(noted)).faults] == [(10, "broken")]


async def test_the_first_of_many_faults_is_reported(chain: Chain) -> None:
    await chain.grow(150, at=20_000)
    await chain.by_hand("UPDATE audit_events SET actor = 'nobody' WHERE tenant_id = {c}")
    verdict = await chain.verdict()
    assert [(fault.sequence, fault.kind) for fault in verdict.faults] == [(1, "broken")]
    assert verdict.events == 0


async def test_chains_are_independent(store: Store, chain: Chain) -> None:
    """An event of one trail isn't valid in another."""
    other = await begun(store, chain.url, chain.number + 100_000)
    await chain.by_hand(
        f"DELETE FROM {_EVENTS} AND sequence = 9",
        f"UPDATE audit_events SET tenant_id = {{c}} WHERE tenant_id = {other.number} AND sequence = 9",
    )
    assert await chain.faults() == [(9, "broken")]
    assert await other.faults() == [(9, "broken")]


async def test_all_chains_are_checked_even_if_incomplete(store: Store, chain: Chain) -> None:
    headless = Chain(store, chain.url, chain.number + 200_000)
    await headless.grow(1)
    await headless.by_hand("DELETE FROM audit_heads WHERE tenant_id = {c}")
    eventless = Chain(store, chain.url, chain.number + 300_000)
    await eventless.grow(1)
    await eventless.by_hand(f"DELETE FROM {_EVENTS}")
    assert {0, chain.number, headless.number, eventless.number} <= set(await trail.all_chains(store))


async def test_concurrent_events_form_one_chain(store: Store, database_url: str, chain: Chain) -> None:
    """This includes the very first events of a trail."""
    for number in range(chain.number + 400_000, chain.number + 400_005):
        together = Chain(store, database_url, number)
        await asyncio.gather(together.begin(), *(together.grow(3) for _ in range(12)))
        verdict = await together.verdict()
        assert verdict.events == 37
        assert [fault.kind for fault in verdict.faults if fault.kind != "missing"] == []


async def test_a_chain_is_verified_while_others_record(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "BATCH", 3)

    async def recording() -> None:
        for _ in range(10):
            await chain.grow(2)

    writing = asyncio.create_task(recording())
    while not writing.done():
        assert await chain.faults() == []
    await writing
    assert (await chain.verdict()).events == 29


_ONE = cross_tenant(
    select(audit_events).where(
        audit_events.c.tenant_id == bindparam("t"), audit_events.c.sequence == bindparam("sequence")
    ),
    because="the test reads an event of any chain",
)


async def _stored(chain: Chain, sequence: int) -> dict[str, Any]:
    row = await chain.store.read(lambda unit: unit.first(_ONE, t=chain.number, sequence=sequence))
    assert row is not None
    return dict(zip(audit_events.c.keys(), row, strict=True))


async def _hash_of(chain: Chain, sequence: int) -> str:
    return str((await _stored(chain, sequence))["hash"])


async def _rehash(chain: Chain, sequence: int, actor: str) -> None:
    """Alter an event and recompute its hash, as an attacker who knows the hash format would."""
    hashed = audit.digest(chain.number, {**await _stored(chain, sequence), "actor": actor})
    await chain.by_hand(f"{_SET} actor = '{actor}', hash = '{hashed}' {_AT} {sequence}")


def test_the_recipe_of_a_hash_is_the_documented_one() -> None:
    """It can never change, or trails of many years could no longer be verified."""
    values = {"sequence": 7, "at": 1_800_000_000_000, "event": "signed_in", "actor": "user:1", "subject": "user:1",
              "address": "192.0.2.1", "request_id": "r", "detail": '{"a":1}', "previous_hash": "0" * 64}  # fmt: skip
    assert audit.digest(3, values) == "c2f612c9ccd25139edeb4b19feda3a23fb2b562f54e85210adb3a9f7bd2008b4"
