"""Expired rows are deleted in small steps on both databases, and other writers work between the steps."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Table, bindparam, func, insert, select, update

from manifest_auth.maintenance import background_jobs
from manifest_auth.maintenance.background_jobs import EXPIRING, Expiring, sweep_expired
from manifest_auth.runtime.clock import Clock
from manifest_auth.store import SystemUnit, cross_tenant, global_, open_store
from manifest_auth.store.tables import known_origins, sessions, throttles
from tests.support.application import App
from tests.support.statements import counted_statements
from tests.support.stores import ONLY_POSTGRESQL

pytestmark = pytest.mark.still

ROWS = 700
TABLES = (throttles, sessions, known_origins)  # a text key, more indexes, a key of two columns
_WHY = "a test makes and counts rows of all tenants"
_MANY: dict[Table, Any] = {
    throttles: global_(insert(throttles).values(
        key=bindparam("key"), failures=1, allowed_at=1, updated_at=bindparam("at"))),
    sessions: cross_tenant(insert(sessions).values(
        tenant_id=1, user_id=1, id=bindparam("key"), cookie_hash=bindparam("key"), method="password", created_at=1,
        ends_at=bindparam("at"), last_used_at=1, address="", user_agent="", cookie_seen_at=1, refresh_current="",
        refresh_changed_at=1), because=_WHY),
    known_origins: cross_tenant(insert(known_origins).values(
        tenant_id=1, user_id=1, origin=bindparam("key"), seen_at=bindparam("at")), because=_WHY),
}  # fmt: skip
_LEFT = {
    table: cross_tenant(select(func.count()).where(table.c[column].like(bindparam("like"))), because=_WHY)
    for table, column in ((throttles, "key"), (sessions, "id"), (known_origins, "origin"))
}
_TOUCH = global_(update(throttles).where(throttles.c.key == bindparam("of_key")).values(updated_at=bindparam("at")))


_numbers = itertools.count(1)


class _Ahead(Clock):
    """The clock of a node that is two years ahead."""

    def now_ms(self) -> int:
        return super().now_ms() + 2 * 365 * 86_400_000


async def fill(app: App, rows: int = ROWS) -> str:
    """Insert this many rows from 1970 into each of the tables, and one from today. Returns the prefix of their keys."""
    mine = f"t{next(_numbers)}-"

    def work(unit: SystemUnit) -> None:
        for statement in _MANY.values():
            for number in range(rows):
                unit.change(statement, key=f"{mine}{number}", at=number)
            unit.change(statement, key=f"{mine}today", at=app.clock.now_ms())

    await app.services.store.write(work)
    return mine


async def left(app: App, mine: str) -> list[int]:
    def work(unit: SystemUnit) -> list[int]:
        return [unit.all(_LEFT[table], like=f"{mine}%")[0][0] for table in TABLES]

    return await app.services.store.read(work)


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The number of rows that each step deleted."""
    noted: list[tuple[str, int]] = []
    step = Expiring.step

    def noting(self: Expiring, unit: SystemUnit, now: int, limit: int) -> int:
        gone = step(self, unit, now, limit)
        noted.append((self.what, gone))
        return gone

    monkeypatch.setattr(Expiring, "step", noting)
    monkeypatch.setattr(background_jobs, "MOST", 200)
    return noted


async def test_a_round_drops_all_that_expired_in_small_steps(app: App, steps: list[tuple[str, int]]) -> None:
    mine = await fill(app)
    assert await sweep_expired(app.services)
    assert await left(app, mine) == [1, 1, 1]
    assert max(gone for _, gone in steps) <= 200
    assert sum(gone for _, gone in steps) >= 3 * ROWS
    assert {what for what, _ in steps[: len(EXPIRING)]} == {table.what for table in EXPIRING}  # in turn


@ONLY_POSTGRESQL
async def test_a_node_whose_clock_is_wrong_deletes_nothing_that_others_use(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite, all processes use the clock of one machine."""
    mine = await fill(app, 1)
    ahead = _Ahead()
    with monkeypatch.context() as wrong:
        wrong.setattr(app.services, "clock", ahead)
        wrong.setattr("manifest_auth.store.store.Clock", _Ahead)
        assert await sweep_expired(app.services)
    assert await left(app, mine) == [1, 1, 1]


async def test_a_sign_in_can_sign_in_between_the_steps(app: App, steps: list[tuple[str, int]]) -> None:
    mine = await fill(app, 1000)
    sweeping_now = asyncio.create_task(sweep_expired(app.services))
    while not steps:
        await asyncio.sleep(0)
    assert (await app.sign_in()).status == 200
    assert not sweeping_now.done()
    assert sum(await left(app, mine)) > 1000
    assert await sweeping_now


async def test_a_round_ends_and_the_next_one_goes_on(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = await fill(app)
    with monkeypatch.context() as short:
        short.setattr(background_jobs, "ROUND_S", 0)
        assert not await sweep_expired(app.services)
    assert await sweep_expired(app.services)
    assert await left(app, mine) == [1, 1, 1]
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    rounds = iter([False, True])

    async def swept(_services: Any) -> bool:
        return next(rounds)

    monkeypatch.setattr(background_jobs, "sweep_expired", swept)
    monkeypatch.setattr(background_jobs, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    with pytest.raises(asyncio.CancelledError):
        await background_jobs.run(app.services)
    assert slept == [background_jobs.EVERY_S, background_jobs.GO_ON_S, background_jobs.EVERY_S]


async def test_nodes_that_sweep_at_the_same_time_wait_for_no_one_and_lose_nothing(
    app: App, steps: list[tuple[str, int]]
) -> None:
    mine = await fill(app)
    assert all(await asyncio.gather(*(sweep_expired(app.services) for _ in range(3))))
    await sweep_expired(app.services)  # rows that one held when another one looked
    assert await left(app, mine) == [1, 1, 1]
    assert sum(gone for what, gone in steps if what == "sessions") == ROWS


@ONLY_POSTGRESQL
async def test_a_counter_that_is_used_in_the_meantime_stays(app: App) -> None:
    """SQLite has one writer at a time."""
    mine = await fill(app, 3)
    other = open_store(app.services.settings.database, 1)
    await other.open()
    held, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with other._connections.acquire(3) as raw, raw.transaction():  # type: ignore[attr-defined]
            compiled = _TOUCH.postgres
            await raw.execute(compiled.sql, *compiled.values({"of_key": f"{mine}0", "at": app.clock.now_ms()}))
            held.set()
            await go.wait()

    holding = asyncio.create_task(hold())
    await held.wait()
    assert await asyncio.wait_for(sweep_expired(app.services), 10)
    assert (await left(app, mine))[0] == 2
    go.set()
    await holding
    await other.close()
    await sweep_expired(app.services)
    assert (await left(app, mine))[0] == 2


async def test_nothing_is_written_where_nothing_expired(app: App) -> None:
    with counted_statements() as seen:
        assert await sweep_expired(app.services)
    assert [text for text in seen if text.startswith("DELETE")] == []
    assert len(seen) == len(EXPIRING), "\n".join(seen)
