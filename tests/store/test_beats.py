"""Processes on PostgreSQL read each announcement of others exactly once, in any order of commits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from manifest_auth.errors import NotFound
from manifest_auth.runtime.clock import Clock
from manifest_auth.store import RESET, Announcement, Store, SystemUnit, postgres_beat
from manifest_auth.store.postgres import MOST_ANNOUNCED, PostgresStore
from manifest_auth.store.postgres_beat import MOST
from tests.support.application import running
from tests.support.postgres import Databases, Postgres, database_of
from tests.support.stores import serving, until

ANNOUNCED = "SELECT kind, key, client FROM announcements ORDER BY id"


@pytest.fixture
def url(postgres: Databases) -> str:
    return postgres.fresh_database()


@pytest.fixture
async def raw(url: str) -> AsyncIterator[Any]:
    """A connection that belongs to no process."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture(autouse=True)
def _late_beats_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a busy machine's late heartbeats from counting as gaps, after which the process would drop everything."""
    monkeypatch.setattr(postgres_beat, "VALID_S", 60.0)
    monkeypatch.setattr(postgres_beat, "PATIENCE_S", 60.0)


def beats_of(store: Store) -> list[float]:
    """Collect the times of a process's heartbeats, starting now."""
    assert isinstance(store, PostgresStore)
    sent, take = list[float](), store._validity.take

    def noting(oldest: int, has_row: bool, announced: Any, sent_at: float) -> Any:
        sent.append(sent_at)
        return take(oldest, has_row, announced, sent_at)

    store._validity.take = noting  # type: ignore[method-assign]
    return sent


def hears(store: Store) -> Counter[str]:
    """Count how often the process drops each key, starting now."""
    heard = Counter[str]()

    def listen(announcement: Announcement) -> None:
        heard["all" if announcement == RESET else announcement.key] += 1

    store.on_announcement(listen)
    return heard


def announcing(*keys: object, kind: Any = "session") -> Callable[[SystemUnit], None]:
    def work(unit: SystemUnit) -> None:
        for key in keys:
            unit.announce(kind, key)

    return work


@pytest.mark.parametrize("wakes", [True, False])
async def test_a_process_hears_another_one(url: str, wakes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(url, wakes=wakes) as one, serving(url, wakes=wakes) as other:
        heard, beats = hears(other), beats_of(other)
        if wakes:  # only because of the notification; no scheduled heartbeat comes
            monkeypatch.setattr(postgres_beat, "EVERY_S", 600.0)
        for number in range(20):
            await one.write(announcing(number))
            before = len(beats)
            await until(lambda n=str(number): heard[n] > 0)  # type: ignore[misc]
            assert len(beats) - before <= 2  # by the first heartbeat that started after the commit
        more = len(beats) + 2
        if wakes:
            for number in range(2):
                await one.write(announcing(f"more {number}"))
                await until(lambda n=f"more {number}": heard[n] > 0)  # type: ignore[misc]
        await until(lambda: len(beats) >= more)
        assert set(heard.values()) == {1}  # each once, and no reset


@pytest.mark.parametrize(
    ("seconds", "others"), [(1.2, 100), pytest.param(5.0, 500, marks=pytest.mark.endurance)], ids=["short", "long"]
)
async def test_a_unit_that_commits_long_after_it_announced(url: str, raw: Any, seconds: float, others: int) -> None:
    """The row's number is lower than those of hundreds that have already been read."""
    async with serving(url, wakes=False, pool=4) as one, serving(url, wakes=False) as other:
        heard = hears(other)
        transaction = raw.transaction()
        await transaction.start()
        await raw.execute(postgres_beat.ANNOUNCE, [0], ["session"], ["late"])
        beats = beats_of(other)
        for number in range(others):
            await one.write(announcing(number))
            await asyncio.sleep(seconds / others)
        assert heard["late"] == 0
        await transaction.commit()
        before = len(beats)
        await until(lambda: heard["late"] > 0)
        assert len(beats) - before <= 2  # by the first heartbeat that started after the commit
        await until(lambda: len(beats) >= before + 4)
        assert heard == Counter({"late": 1, **{str(number): 1 for number in range(others)}})


async def test_what_was_rolled_back_is_never_heard(url: str, raw: Any) -> None:
    def refused(unit: SystemUnit) -> None:
        unit.announce("session", "never")
        raise NotFound()

    async with serving(url) as one, serving(url) as other:
        heard = hears(other)
        with pytest.raises(NotFound):
            await one.write(refused)
        await one.write(announcing("later"))
        await until(lambda: heard["later"] > 0)
        assert heard == {"later": 1}
        assert [row["key"] for row in await raw.fetch(ANNOUNCED)] == ["later"]


async def test_a_unit_announces_each_thing_once_in_one_statement(url: str, raw: Any) -> None:
    """Many changes in one client are announced as the client."""

    def work(unit: SystemUnit) -> None:
        for _ in range(2):
            unit.announce("installation", "keys")
            for number in range(MOST_ANNOUNCED + 1):
                unit.of(1).announce("user", number)
            for number in range(1, 4):
                unit.of(2).announce("user", -number)

    async with serving(url) as one:
        heard = hears(one)
        await one.write(work)
        assert len(heard) == MOST_ANNOUNCED + 5  # the process itself drops exactly what was named
        assert [tuple(row) for row in await raw.fetch(ANNOUNCED)] == [
            ("installation", "keys", 0), *(("user", str(-number), 2) for number in range(1, 4)), ("tenant", "1", 1)
        ]  # fmt: skip


async def test_more_than_one_beat_reads_drops_everything(url: str, raw: Any) -> None:
    async with serving(url, wakes=False) as other:
        heard = hears(other)
        keys = list(map(str, range(MOST + 1)))
        await raw.execute(postgres_beat.ANNOUNCE, [0] * len(keys), ["session"] * len(keys), keys)
        await until(lambda: heard["all"] > 0)
        assert set(heard) == {"all"}
        while not heard["later"]:  # while another database has an open transaction, a heartbeat reads all again
            await raw.execute(postgres_beat.ANNOUNCE, [0], ["session"], ["later"])
            await asyncio.sleep(postgres_beat.EVERY_S)


async def test_a_beat_costs_the_same_however_many_announcements_there_are(url: str, raw: Any) -> None:
    await raw.execute(
        "INSERT INTO announcements (xid, client, at, kind, key) "
        "SELECT n, 0, 0, 'session', 'of_some_length_' || n FROM generate_series(1, 50000) n"
    )
    await raw.execute("ANALYZE announcements")
    await raw.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE beat AS {postgres_beat._BEAT}")
    plan = "\n".join(row[0] for row in await raw.fetch("EXPLAIN EXECUTE beat(1, '', 0, '')"))
    assert "Index Scan using ix_announcements_xid" in plan


async def test_a_process_is_in_the_table_while_it_runs(url: str, raw: Any) -> None:
    async with serving(url) as one:
        async with serving(url):
            while await raw.fetchval("SELECT count(*) FROM nodes") != 2:
                await asyncio.sleep(0.02)
        [row] = await raw.fetch("SELECT * FROM nodes")
        assert row["state"] == "serving"
        assert abs(row["skew_ms"]) < 30_000
        heard, seen_at, one.state = hears(one), row["seen_at"], "draining"
        while (row := (await raw.fetch("SELECT * FROM nodes"))[0])["seen_at"] == seen_at:
            await asyncio.sleep(0.05)
        assert row["state"] == "draining"
        # A swept row reappears, and everything is dropped.
        await raw.execute("DELETE FROM nodes")
        await until(lambda: heard["all"] > 0)
        while not await raw.fetch("SELECT * FROM nodes"):
            await asyncio.sleep(0.02)
    assert await raw.fetch("SELECT * FROM nodes") == []


async def test_old_rows_are_swept_by_the_clock_of_the_store(
    url: str, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await raw.fetchval(f"SELECT {postgres_beat.NOW}")
    async with serving(url) as one:
        for minutes in (0, 19, 21):
            await raw.execute(postgres_beat.ANNOUNCE, [0], ["session"], [str(minutes)])
            await raw.execute("UPDATE announcements SET at = $1 WHERE key = $2", now - minutes * 60_000, str(minutes))
        while not await raw.fetch("SELECT 1 FROM nodes"):
            await asyncio.sleep(0.02)
        for minutes in (9, 11):
            await raw.execute(
                "INSERT INTO nodes (id, started_at, seen_at, host, pid, version, schema, state, skew_ms) "
                "SELECT $1::text, 0, $2, host, pid, version, schema, state, 0 FROM nodes LIMIT 1",
                str(minutes),
                now - minutes * 60_000,
            )
        monkeypatch.setattr(Clock, "now_ms", lambda _self: now + 365 * 86_400_000)
        assert await one.sweep_announcements() == 1
        assert [row["key"] for row in await raw.fetch(ANNOUNCED)] == ["0", "19"]
        assert {row["id"] for row in await raw.fetch("SELECT id FROM nodes")} >= {"9"}
        assert await raw.fetchval("SELECT count(*) FROM nodes") == 2


async def test_a_clock_that_is_wrong_is_told_once(url: str, raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    class Log:
        def warning(self, event: str, **members: Any) -> None:
            told.append({"event": event, **members})

    async with serving(url, log=Log()):
        right = Clock().now_ms()
        monkeypatch.setattr(Clock, "now_ms", lambda _self: right + 7_200_000)
        while abs(await raw.fetchval("SELECT skew_ms FROM nodes") or 0) < 7_000_000:
            await asyncio.sleep(0.05)
        await asyncio.sleep(2 * postgres_beat.EVERY_S)
    assert [each["event"] for each in told] == ["clock_skew"]
    assert abs(told[0]["ahead_ms"] - 7_200_000) < 30_000


async def test_a_beat_waits_for_no_standby(own_postgres: Postgres) -> None:
    """A commit that announces something waits, and isn't announced before it's complete."""
    url = own_postgres.fresh_database()
    async with serving(url) as one, serving(url) as other:
        heard = hears(other)
        own_postgres.psql("ALTER SYSTEM SET synchronous_standby_names = 'none'")
        own_postgres.psql("SELECT pg_reload_conf()")
        await asyncio.sleep(0.3)
        writing, beats = asyncio.ensure_future(one.write(announcing("waits"))), beats_of(other)
        await until(lambda: len(beats) >= 8)
        assert other.version() is not None
        assert heard == {}
        assert not writing.done()
        own_postgres.psql("ALTER SYSTEM RESET synchronous_standby_names")
        own_postgres.psql("SELECT pg_reload_conf()")
        await writing
        await until(lambda: heard["waits"] == 1)


async def test_a_server_that_is_gone(postgres: Databases) -> None:
    url = postgres.fresh_database()
    async with serving(url) as one:
        assert isinstance(one, PostgresStore)
        assert one.is_gone is False
        postgres.drop(database_of(url))
        await until(lambda: one.is_gone)
        assert one.version() is None


async def test_a_beat_that_ends_with_a_bug_is_told_and_comes_again(url: str, raw: Any) -> None:
    """In the meantime, cached entries that it should have dropped aren't trusted; the next heartbeat drops them."""
    told: list[str] = []

    class Log:
        def exception(self, event: str) -> None:
            told.append(event)

    async with serving(url, log=Log()) as one:
        heard, is_broken = hears(one), True

        def fail(announcement: Announcement) -> None:
            if is_broken and announcement.key == "odd":
                raise ValueError

        one.on_announcement(fail)
        await raw.execute(postgres_beat.ANNOUNCE, [0], ["session"], ["odd"])
        await until(lambda: bool(told))
        assert one.version() is None
        is_broken = False
        await until(lambda: one.version() is not None)
        assert heard["all"] == 1
    assert set(told) == {"beat_failed"}


async def test_a_sign_in_a_refresh_and_a_read_write_nothing_here(url: str, raw: Any) -> None:
    async with running(url) as app:
        before = await raw.fetchval("SELECT coalesce(max(id), 0) FROM announcements")
        given = (await app.sign_in("author@acme.example")).data
        given = (await app.post("/api/client/auth/refresh", {"refreshToken": given["refreshToken"]})).data
        assert (await app.get("/api/client/auth/me", token=given["token"])).status == 200
        assert await raw.fetchval("SELECT max(id) FROM announcements") in (None, before)
        assert (await app.post("/api/client/auth/sign-out", token=given["token"])).status == 200
        assert await raw.fetchval("SELECT count(*) FROM announcements WHERE id > $1", before) == 1
