"""Deleting a client can be undone for some time; after that, all its data is removed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update

from manifest_auth import audit
from manifest_auth.audit import upkeep
from manifest_auth.clients import client_lifecycle
from manifest_auth.clients.client_lifecycle import sweep_clients
from manifest_auth.store import SystemUnit, cross_tenant, global_
from manifest_auth.store.tables import TENANT_OWNED, audit_heads, files, tenants
from tests.store.rows import add, everything
from tests.support.application import App, running
from tests.support.envelope import check_refusal, check_success
from tests.support.system_admins import SystemAdmin, events, signed_in_admin

BASE = "/api/admin/clients"
DAYS = 30
GOOD = "granite-otter-47-lantern"
_numbers = itertools.count(1)
_FILLED = sorted((t for t in TENANT_OWNED if not t.name.startswith("audit_")), key=lambda table: table.name)
_OF_MANY = [table for table in _FILLED if [column.name for column in table.primary_key] != ["tenant_id"]]
pytestmark = [pytest.mark.usefixtures("no_e_mail_is_sent"), pytest.mark.still]


@pytest.fixture
async def root(app: App) -> SystemAdmin:
    app.clock.advance(3600)
    return await signed_in_admin(app)


async def client(by: SystemAdmin, name: str = "") -> dict[str, Any]:
    """A new client with a user."""
    body = {"identifier": name or f"going-{next(_numbers)}", "name": "Going Ltd"}
    made: dict[str, Any] = check_success(await by.post(BASE, body), 201)
    user = {"email": "ann@going.example", "roles": ["Admin"], "password": GOOD}
    check_success(await by.post(f"{BASE}/{made['id']}/users", user), 201)
    return made


_HEADS = cross_tenant(
    select(audit_heads.c.gone_at).where(audit_heads.c.tenant_id == bindparam("of")),
    because="the test looks for what is left",
)


async def fill(app: App, client_id: int) -> None:
    """Insert a row into each table of clients."""

    def work(unit: SystemUnit) -> None:
        for table in _FILLED:
            add(unit, table, client_id)

    await app.services.store.write(work)


async def left(app: App, client_id: int) -> dict[str, int]:
    """The number of rows in each table that has any, except the end of a trail that is recorded as deleted."""

    def work(unit: SystemUnit) -> dict[str, int]:
        found = {table.name: len(everything(unit, table, client_id)) for table in TENANT_OWNED}
        return {**found, "audit_heads": sum(gone is None for (gone,) in unit.all(_HEADS, of=client_id))}

    counted = await app.services.store.read(work)
    return {name: count for name, count in counted.items() if count}


async def test_the_end_of_its_trail_stays_and_says_that_it_is_gone(root: SystemAdmin) -> None:
    app, made = root.app, await client(root)
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    end = (await audit.verify(app.services.store, made["id"], lambda _: None)).end
    app.clock.advance(DAYS * 86_400)
    while await left(app, made["id"]):
        await sweep(app)
    assert end.sequence == 3
    for verdict in await audit.verify_all(app.services.store, lambda _: None, {made["id"]: end}):
        assert (verdict.chain, verdict.faults) == (verdict.chain, [])


async def sweep(app: App) -> None:
    await sweep_clients(app.services)


async def test_a_deleted_client_is_suspended_and_says_until_when(root: SystemAdmin) -> None:
    made = await client(root)
    signed_in = await root.app.sign_in("ann@going.example", GOOD, made["identifier"])
    data = check_success(await root.send("DELETE", f"{BASE}/{made['identifier']}"))
    assert data["suspendedAt"] is not None
    assert data["deleteAt"] > data["suspendedAt"]
    check_refusal(await root.app.me(signed_in.data["token"]), 401, "INVALID_TOKEN")
    reply = await root.app.sign_in("ann@going.example", GOOD, made["identifier"])
    check_refusal(reply, 403, "ACCOUNT_DISABLED")
    check_refusal(await root.send("DELETE", f"{BASE}/{made['identifier']}"), 409, "CONFLICT")
    body = {"identifier": made["identifier"], "name": "Another"}
    check_refusal(await root.post(BASE, body), 409, "CONFLICT")  # not released yet
    listed = check_success(await root.get(f"{BASE}?state=deleted&first=100"))["items"]
    assert made["id"] in [found["id"] for found in listed]


async def test_it_can_be_revoked_until_the_last_moment(root: SystemAdmin) -> None:
    made = await client(root)
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    root.app.clock.advance(DAYS * 86_400 - 1)
    await sweep(root.app)
    root.token = (await root.again()).token
    data = check_success(await root.post(f"{BASE}/{made['id']}/restore"))
    assert (data["suspendedAt"], data["deleteAt"]) == (None, None)
    root.app.clock.advance(86_400)
    await sweep(root.app)
    root.token = (await root.again()).token
    check_success(await root.get(f"{BASE}/{made['id']}"))
    check_success(await root.app.sign_in("ann@going.example", GOOD, made["identifier"]))


async def test_taking_a_deletion_back_leaves_the_suspension_from_before(root: SystemAdmin) -> None:
    made = await client(root)
    suspended = check_success(await root.post(f"{BASE}/{made['id']}/suspend"))
    root.app.clock.advance(60)
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    data = check_success(await root.post(f"{BASE}/{made['id']}/restore"))
    assert (data["suspendedAt"], data["deleteAt"]) == (suspended["suspendedAt"], None)
    assert check_success(await root.get(f"{BASE}/{made['id']}")) == data
    reply = await root.app.sign_in("ann@going.example", GOOD, made["identifier"])
    check_refusal(reply, 403, "ACCOUNT_DISABLED")
    told = [detail for event, _, _, detail in await events(root.app, made["id"]) if event == "client_restored"]
    assert [detail["after"] for detail in told] == [{"suspendedAt": suspended["suspendedAt"], "deleteAt": None}]
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    for _ in range(2):  # the second run accepts it
        data = check_success(await root.post(f"{BASE}/{made['id']}/restore"))
    assert data["suspendedAt"] is None
    check_refusal(await root.post(f"{BASE}/{made['id']}/restore"), 409, "CONFLICT")


async def test_when_its_time_is_over_all_of_it_goes_and_nothing_of_others(root: SystemAdmin) -> None:
    app, made, other = root.app, await client(root), await client(root)
    for one in (made, other):
        await fill(app, one["id"])
    before = await left(app, other["id"])
    assert set(before) == {table.name for table in TENANT_OWNED} - {"audit_anchors"}
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    app.clock.advance(DAYS * 86_400)
    root.token = (await root.again()).token
    check_refusal(await root.post(f"{BASE}/{made['id']}/restore"), 409, "CONFLICT")  # too late
    await sweep(app)
    assert await left(app, made["id"]) == {}
    assert await left(app, other["id"]) == before
    check_refusal(await root.get(f"{BASE}/{made['id']}"), 404, "NOT_FOUND")
    gone = [(subject, detail) for event, _, subject, detail in await events(app) if event == "client_deleted"]
    assert gone[-1][0] == f"client:{made['id']}"
    assert gone[-1][1]["identifier"] == made["identifier"]
    assert gone[-1][1]["events"] >= 3  # the client's trail had events, and its last hash is kept
    again = await client(root, made["identifier"])
    assert again["id"] != made["id"]
    check_success(await app.sign_in("ann@going.example", GOOD, made["identifier"]))


async def test_a_mark_that_someone_made_by_hand_removes_no_client(root: SystemAdmin) -> None:
    """An attacker who can write to the database, but has no key, can't have a trail deleted and signed as deleted."""
    made, marked = await client(root), await client(root)
    path = f"{BASE}/{marked['identifier']}"
    check_success(await root.send("DELETE", path))
    check_success(await root.post(f"{path}/restore"))
    change = {"delete_at": 1, "suspended_at": 1}
    by_hand = global_(update(tenants).where(tenants.c.id >= made["id"]).values(**change))
    await root.app.services.store.write(lambda unit: unit.change(by_hand))
    await sweep_clients(root.app.services)
    for identifier in (made["identifier"], marked["identifier"]):
        check_success(await root.get(f"{BASE}/{identifier}"))


async def test_its_files_go_from_where_they_lie(root: SystemAdmin, tmp_path: Path) -> None:
    app, made = root.app, await client(root)
    await fill(app, made["id"])
    (row,) = await app.services.store.read(lambda unit: everything(unit, files, made["id"]))
    key = row._mapping["key"] if hasattr(row, "_mapping") else row[list(files.c.keys()).index("key")]
    (tmp_path / "evidence").write_bytes(b"bytes")
    await app.services.files.store(tmp_path / "evidence", key)
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    app.clock.advance(DAYS * 86_400)
    await sweep(app)
    with pytest.raises(Exception, match=key):
        await app.services.files.open(key)


@pytest.mark.one_store
async def test_it_is_done_a_few_rows_at_a_time_and_goes_on_where_it_was(
    root: SystemAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, made = root.app, await client(root)

    def work(unit: SystemUnit) -> None:
        for turn in range(3):
            for table in _FILLED if turn == 0 else _OF_MANY:
                add(unit, table, made["id"])

    await app.services.store.write(work)
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    app.clock.advance(DAYS * 86_400)
    monkeypatch.setattr(client_lifecycle, "MOST", 100)
    monkeypatch.setattr(client_lifecycle, "ROUND_S", -1.0)  # no time, so one step a round
    counts = [sum((await left(app, made["id"])).values())]
    while counts[-1]:
        await sweep(app)
        counts.append(sum((await left(app, made["id"])).values()))
        assert 0 < counts[-2] - counts[-1] <= 10
    assert len(counts) > 10


async def test_its_trail_is_provable_while_it_goes(root: SystemAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    app, made = root.app, await client(root)
    for number in range(20):
        check_success(await root.send("PATCH", f"{BASE}/{made['id']}", {"name": f"Going {number}"}))
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    app.clock.advance(DAYS * 86_400)
    monkeypatch.setattr(upkeep, "BATCH", 6)
    monkeypatch.setattr(client_lifecycle, "ROUND_S", -1.0)
    seen = set()
    while "audit_heads" in await left(app, made["id"]):
        verdict = await audit.verify(app.services.store, made["id"], lambda _: None)
        assert verdict.faults == []
        seen.add(verdict.events)
        await sweep(app)
    assert len(seen) > 3
    assert await left(app, made["id"]) == {}


async def test_several_processes_can_do_it_at_the_same_time(root: SystemAdmin) -> None:
    app, made = root.app, await client(root)
    await fill(app, made["id"])
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    app.clock.advance(DAYS * 86_400)
    await asyncio.gather(*(sweep(app) for _ in range(3)))
    assert await left(app, made["id"]) == {}
    gone = [subject for event, _, subject, _ in await events(app) if event == "client_deleted"]
    assert gone.count(f"client:{made['id']}") == 1


@pytest.fixture
async def keeping(database_url: str) -> AsyncIterator[App]:
    more = {"MANIFEST_CLIENT_DELETION_AUDIT": "keep", "MANIFEST_CLIENT_DELETION_DAYS": "0"}
    async with running(database_url, **more) as app:
        yield app


async def test_the_trail_can_be_kept(keeping: App) -> None:
    keeping.clock.advance(200 * 86_400)  # this node's clock starts again
    root = await signed_in_admin(keeping)
    made = await client(root)
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    await sweep(keeping)
    assert set(await left(keeping, made["id"])) == {"audit_events", "audit_heads"}
    kept = [event for event, _, _, _ in await events(keeping, made["id"])]
    assert kept == ["client_created", "user_created", "client_deletion_started"]
    check_refusal(await root.get(f"{BASE}/{made['id']}"), 404, "NOT_FOUND")


async def test_the_start_of_it_stands_in_both_trails(root: SystemAdmin) -> None:
    made = await client(root)
    check_success(await root.send("DELETE", f"{BASE}/{made['id']}"))
    for chain in (0, made["id"]):
        event, actor, subject, detail = (await events(root.app, chain))[-1]
        assert (event, actor, subject) == ("client_deletion_started", f"admin:{root.id}", f"client:{made['id']}")
        assert detail["before"] == {"suspendedAt": None, "deleteAt": None}
        assert detail["after"]["deleteAt"]
