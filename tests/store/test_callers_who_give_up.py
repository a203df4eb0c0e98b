"""Callers give up at any moment while the server fails and recovers, without cancel requests or errors.

The tests run on the web server's event loop, which differs from that of the other tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop
from asyncpg import connect_utils
from sqlalchemy import literal, select

from manifest_auth.store import StoreUnavailable, SystemUnit, cross_tenant, open_store
from manifest_auth.store.postgres import PostgresStore
from tests.store.test_units_of_work import ADD, found
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Databases, database_of

SECONDS, CALLERS, POOL = 2.5, 12, 6
#: Time limits for every second caller: some end before anything is sent, others when the response arrives.
_PATIENCE_S = 0.004
_SELECT = cross_tenant(select(literal(1)), because="a test")


@pytest.fixture(params=["direct", pytest.param("pgbouncer", marks=pytest.mark.endurance)])
def address(request: pytest.FixtureRequest, postgres: Databases) -> Iterator[str]:
    url = postgres.fresh_database()
    if request.param == "direct":
        yield url
        return
    pooler = PgBouncer(postgres.address)
    yield pooler.address(database_of(url))
    pooler.stop()


class Hammer:
    """Units of work on one store, most of which are abandoned."""

    def __init__(self, store: PostgresStore, chance: random.Random) -> None:
        self.store, self.chance = store, chance
        self.ends = Counter[str]()
        self.answered: list[str] = []
        self._began = time.monotonic()

    def goes_on(self) -> bool:
        """Run for some seconds, or longer on a busy machine, until enough units have succeeded and failed."""
        seconds = time.monotonic() - self._began
        return seconds < SECONDS or (seconds < 60 and not self.has_enough())

    def has_enough(self) -> bool:
        return min(self.ends["answered"], self.ends["given up"]) > 100

    async def caller(self, number: int) -> None:
        for attempt in itertools.count():
            if not self.goes_on():
                return
            name = f"{number}-{attempt}"
            task = asyncio.create_task(self._ask(name))
            patience = self.chance.uniform(0, _PATIENCE_S) if attempt % 2 else 60
            handle = asyncio.get_running_loop().call_later(patience, task.cancel)
            try:
                await task
                self.ends["answered"] += 1
            except StoreUnavailable:
                self.ends["refused"] += 1
            except asyncio.CancelledError:
                self.ends["given up"] += 1
            finally:
                handle.cancel()

    async def _ask(self, name: str) -> None:
        def work(unit: SystemUnit) -> None:
            unit.change(ADD, name=name, value="1")
            unit.announce("session", name)

        kind = self.chance.randrange(3)
        if kind == 0:
            await self.store.write(work)
            self.answered.append(name)
        elif kind == 1:
            await self.store.read(lambda unit: [unit.first(_SELECT) for _ in range(3)])
        else:
            await self.store.look_up(_SELECT)

    async def loser(self) -> None:
        """Close all connections now and then, in the middle of their work, but not before they were of use."""
        while self.goes_on():
            before = self.ends["answered"]
            await asyncio.sleep(self.chance.uniform(0.02, 0.2))
            if self.ends["answered"] > before:
                self.store._connections.lost()


async def _hammered(address: str) -> Hammer:
    store = open_store(address, POOL)
    assert isinstance(store, PostgresStore)
    await store.open()
    it = Hammer(store, random.Random())
    await asyncio.gather(*(it.caller(number) for number in range(CALLERS)), it.loser())
    assert [name for name in it.answered if await found(store, name) is None] == []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            await store.close()
    assert store._connections._count == 0
    return it


def test_callers_can_give_up_at_any_time(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = list[Any]()

    async def cancel(**request: Any) -> None:
        sent.append(request)

    monkeypatch.setattr(connect_utils, "_cancel", cancel)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = list[Any]()
        runner.get_loop().set_exception_handler(lambda _, context: told.append(context))
        it = runner.run(_hammered(address))
    print(it.ends)
    assert not sent
    assert not told
    assert it.has_enough(), it.ends
