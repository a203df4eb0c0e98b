"""A commit that waits for a standby is never canceled or confirmed too early, and doesn't block reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from manifest_auth import tenants
from manifest_auth.sessions import principals
from manifest_auth.store import Announcement, Store, StoreUnavailable, SystemUnit, open_store
from manifest_auth.store import postgres as module
from manifest_auth.store import postgres_connections as connections
from manifest_auth.tenants import TenantSettings
from tests.store.test_units_of_work import ADD, found
from tests.support.commands import until
from tests.support.matrix import matrix
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Postgres, awaited, database_of, waiting
from tests.support.rules import rule
from tests.support.stores import until as seen

pytestmark = pytest.mark.processes

POOL = 6


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    made = Postgres(is_durable=False)
    for statement in ("ALTER SYSTEM SET synchronous_commit = on", "SELECT pg_reload_conf()"):
        made.psql(statement)
    yield made
    made.stop()


@pytest.fixture(params=["direct", pytest.param("pgbouncer", marks=pytest.mark.endurance)])
def address(request: pytest.FixtureRequest, server: Postgres) -> Iterator[str]:
    name = database_of(server.fresh_database())
    if request.param == "direct":
        yield server.uri(name)
        return
    pooler = PgBouncer(server.address)
    yield pooler.address(name)
    pooler.stop()


@pytest.fixture
async def opened(address: str) -> AsyncIterator[Store]:
    store = open_store(address, POOL)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def tenant(opened: Store) -> int:
    return await opened.write(lambda unit: tenants.create(unit, "t1", "T", TenantSettings(), 1).id)


Writing = Callable[[Store, int], Coroutine[Any, Any, None]]


async def by_unit(store: Store, tenant: int) -> None:
    """Add a value in a transaction."""

    def work(unit: SystemUnit) -> None:
        unit.change(ADD, name="added", value="1")
        unit.announce("session", "added")

    await store.write(work)


async def by_one_statement(store: Store, tenant: int) -> None:
    """Add a row with one statement that commits on its own."""
    await store.change_one(tenant, principals._REFUSE, key="added", refused_at=1, expires_at=2)


async def added(server: Postgres, address: str) -> int:
    """The number of visible rows."""
    rows = "SELECT name FROM installation WHERE name = 'added' UNION ALL SELECT key FROM refused_tokens"
    return int(await asyncio.to_thread(server.psql, f"SELECT count(*) FROM ({rows})", server.uri(database_of(address))))


async def until_waiting(server: Postgres, count: int = 1) -> None:
    await asyncio.to_thread(until, lambda: len(waiting(server)) == count)


WAYS = matrix("write", [by_unit, by_one_statement])


@rule("COMMIT-KEPT")
@WAYS
async def test_a_caller_who_gives_up_ends_no_wait(
    server: Postgres, opened: Store, address: str, tenant: int, write: Writing
) -> None:
    """The server keeps waiting, so nothing becomes visible that isn't on a standby."""
    with awaited(server):
        writing = asyncio.create_task(write(opened, tenant))
        await until_waiting(server)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await asyncio.sleep(0.3)  # long enough for a cancel request
        assert len(waiting(server)) == 1
        assert await added(server, address) == 0
    await until_waiting(server, 0)
    assert await added(server, address) == 1


@rule("COMMIT-KEPT")
@WAYS
async def test_after_its_time_a_unit_is_rejected_and_goes_on_to_wait(
    server: Postgres, opened: Store, address: str, tenant: int, write: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNIT_S", 0.5)
    with awaited(server):
        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(10):
                await write(opened, tenant)
        assert len(waiting(server)) == 1
        assert await added(server, address) == 0
    await until_waiting(server, 0)


@rule("COMMIT-KEPT")
@WAYS
async def test_a_wait_that_the_operator_ended_is_no_success(
    server: Postgres, opened: Store, address: str, tenant: int, write: Writing
) -> None:
    with awaited(server):
        writing = asyncio.create_task(write(opened, tenant))
        await until_waiting(server)
        server.psql(f"SELECT pg_cancel_backend({waiting(server)[0]})")
        with pytest.raises(StoreUnavailable, match="warned"):
            await writing
        assert await added(server, address) == 1  # so it must not be confirmed


async def test_what_might_have_been_committed_is_announced(server: Postgres, opened: Store, tenant: int) -> None:
    said = list[Announcement]()
    opened.on_announcement(said.append)
    with awaited(server):
        writing = asyncio.create_task(by_unit(opened, tenant))
        await until_waiting(server)
        server.psql(f"SELECT pg_terminate_backend({waiting(server)[0]})")
        with pytest.raises(StoreUnavailable):
            await writing
    assert Announcement("session", "added") in said


async def test_commits_that_wait_stop_no_read(
    server: Postgres, opened: Store, tenant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACQUIRE_TIMEOUT", 5.0)

    async def write(number: int) -> None:
        await opened.write(lambda unit: unit.change(ADD, name=f"waits-{number}", value="1"))

    with awaited(server):
        writing = [asyncio.create_task(write(number)) for number in range(POOL + 2)]
        await until_waiting(server, POOL - connections.SPARED)
        assert await asyncio.gather(*[found(opened, "waits-0") for _ in range(20)]) == [None] * 20
        await seen(lambda: sum(task.done() for task in writing) == connections.SPARED + 2)
        waits = [task for task in writing if not task.done()]
        assert {task.exception().why for task in writing if task.done()} == {"busy"}  # type: ignore[union-attr]
    await asyncio.gather(*waits)
