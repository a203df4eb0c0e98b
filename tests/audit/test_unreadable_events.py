"""Unreadable audit rows block nothing, and are listed and marked."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import msgspec
import pytest

from manifest_auth import audit
from manifest_auth.audit import EventFilter
from manifest_auth.store import Store
from tests.audit.conftest import Chain, begun
from tests.support.application import App
from tests.support.matrix import matrix

_AT = "WHERE tenant_id = {c} AND sequence = 5"
#: By the row's content: the SQL, and the marked members.
BOTH = {
    "a time that no calendar has": ("at = 1000000000000000", ["at"]),
    "the last time of all": ("at = 9223372036854775807", ["at"]),
    "the first time of all": ("at = -9223372036854775808", ["at"]),
    "a detail that is no JSON": ("detail = '{'", ["detail"]),
    "a detail that is no object": ("detail = '[1]'", ["detail"]),
}
SQLITE = {
    "a detail that is no text": ("detail = CAST(x'ff00' AS TEXT)", ["detail"]),
    "an actor that is no text": ("actor = CAST(x'ff00' AS TEXT)", ["actor"]),
    "a hash before it of other bytes": ("previous_hash = CAST(x'ff' AS TEXT)", ["previousHash"]),
}
#: Values that no database can contain: PostgreSQL never could, and SQLite can't since the tables are STRICT.
REFUSED = {
    "a detail of other bytes": "detail = x'ff00'",
    "an actor of other bytes": "actor = x'ff00'",
    "an event that is a number": "event = x'00'",
    "a hash of other bytes": "hash = x'ff'",
    "a time that is a text": "at = 'noon'",
    "a number that is none": "sequence = 'x'",
}


async def _page(store: Store, chain: int, order: str) -> list[dict[str, Any]]:
    """All pages, with three events each."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        some, after = await audit.page(store.of(chain), EventFilter(order=order), 3, after)
        found += json.loads(msgspec.json.encode(audit.events_data(some, after, order)))["items"]
        if after is None:
            return found


@matrix("what", [*BOTH, *SQLITE])
async def test_an_unreadable_event_is_reported_and_blocks_nothing(store: Store, chain: Chain, what: str) -> None:
    if what in SQLITE and not chain.url.startswith("sqlite"):
        return  # PostgreSQL can't contain such a value
    given, marked = {**BOTH, **SQLITE}[what]
    await chain.by_hand(f"UPDATE audit_events SET {given} {_AT}")
    behind = await begun(store, chain.url, chain.number + 500_000)
    assert (5, "broken") in await chain.faults()
    verdicts = await audit.verify_all(store, lambda _: None, {})
    assert [v.faults for v in verdicts if v.chain == behind.number] == [[]]
    for order in ("newest", "oldest"):
        items = await _page(store, chain.number, order)
        assert sorted(item["sequence"] for item in items) == [1, 2, 3, 4, 5, 6, 7, 8, 9], order
        told = {item["sequence"]: item["unreadable"] for item in items if "unreadable" in item}
        assert told == ({} if marked == ["previousHash"] else {5: marked}) or marked == ["previousHash"]
    lines, unreadable = [], []
    async for some in audit.export(store, [chain.number]):
        lines += [json.loads(line) for line in some.lines]
        unreadable += some.unreadable
    assert [line["sequence"] for line in lines] == list(range(1, 10))
    assert (unreadable, lines[4]["unreadable"]) == ([5], marked)


@matrix("what", REFUSED)
async def test_a_value_of_another_type_cannot_be_written(chain: Chain, what: str) -> None:
    if not chain.url.startswith("sqlite"):
        return  # its columns have types
    with pytest.raises(sqlite3.IntegrityError, match="cannot store"):
        await chain.by_hand(f"UPDATE audit_events SET {REFUSED[what]} {_AT}")
    assert await chain.faults() == []


async def test_impossible_chains_are_reported(store: Store, chain: Chain) -> None:
    """The last event of a trail was hidden by restoring an older tip."""
    await chain.by_hand("UPDATE audit_events SET tenant_id = -1 WHERE tenant_id = {c} AND sequence = 9")
    verdicts = {v.chain: v for v in await audit.verify_all(store, lambda _: None, {})}
    assert [fault.kind for fault in verdicts[-1].faults] == ["head", "broken"]
    assert [fault.kind for fault in verdicts[chain.number].faults] == ["broken"]
    await chain.by_hand("DELETE FROM audit_events WHERE tenant_id = -1")


async def test_lists_show_and_mark_an_unreadable_event(app: App) -> None:
    """Over HTTP, for system admins, the client's users, and GraphQL."""
    acme, token = app.ids["acme"], (await app.sign_in("admin@acme.example")).data["token"]
    hand = Chain(app.services.store, app.services.settings.database, acme)
    await hand.by_hand(
        "UPDATE audit_events SET detail = '{', at = 1000000000000000 WHERE tenant_id = {c} AND sequence = 1"
    )
    try:
        admin = await app.get("/api/admin/audit?client=acme&order=oldest&first=100", token=await app.admin_token())
        own = await app.get("/api/client/audit?first=100", token=token)
        for reply in (admin, own):
            assert [i["unreadable"] for i in reply.data["items"] if "unreadable" in i] == [["at", "detail"]]
        query = "{ auditEventsPage(first: 100) { items { sequence at detail unreadable } } }"
        items = (await app.graphql(query, token)).json["data"]["auditEventsPage"]["items"]
        assert [item["unreadable"] for item in items if item["unreadable"]] == [["at", "detail"]]
    finally:
        await hand.by_hand("DELETE FROM audit_events WHERE tenant_id = {c} AND sequence = 1")
