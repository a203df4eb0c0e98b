"""Concurrent units of work run one after the other, without lost updates or deadlocks."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.util.concurrency import await_only

from manifest_auth.accounts import users
from manifest_auth.licence import UNCOUNTED
from manifest_auth.permissions import Role
from manifest_auth.store import Store, SystemUnit, TenantUnit, global_, postgres
from manifest_auth.store.tables import installation, throttles
from manifest_auth.throttle import throttle
from tests.store.conftest import Pair
from tests.store.test_units_of_work import FIND, LIKE, Value
from tests.support.stores import on_postgres

_C = installation.c
_ADD = global_(insert(installation).values(name=bindparam("name"), value="0"))
_PLUS = global_(update(installation).where(_C.name == bindparam("of")).values(value=_C.value + "1"))
_LOCKED = global_(select(_C.value).where(_C.name == bindparam("name")).with_for_update(), Value)
_SET = global_(update(installation).where(_C.name == bindparam("of")).values(value=bindparam("new")))
_COUNT = global_(select(throttles.c.key))
_FAILURES = global_(select(throttles.c.key, throttles.c.failures))


async def test_units_that_lock_in_opposite_order_both_come_through(store: Store) -> None:
    def fill(unit: SystemUnit) -> None:
        for name in ("left", "right"):
            unit.change(_ADD, name=name)

    await store.write(fill)
    met = {"left": asyncio.Event(), "right": asyncio.Event()}

    def unit_from(first: str, second: str) -> asyncio.Task[None]:
        def work(unit: SystemUnit) -> None:
            unit.change(_PLUS, of=first)
            met[first].set()
            if on_postgres(store):  # SQLite has one writer at a time, so no unit is interrupted midway
                await_only(asyncio.wait_for(met[second].wait(), 10))
            unit.change(_PLUS, of=second)

        return asyncio.create_task(store.write(work))

    await asyncio.gather(unit_from("left", "right"), unit_from("right", "left"))
    rows = [await store.read(lambda unit, n=name: unit.first(FIND, name=n)) for name in met]  # type: ignore[misc]
    assert [row.value for row in rows] == ["011", "011"]


async def test_no_increment_is_lost_under_a_lock(store: Store) -> None:
    await store.write(lambda unit: unit.change(_ADD, name="counter"))

    def work(unit: SystemUnit) -> None:
        row = unit.first(_LOCKED, name="counter")
        assert row is not None
        unit.change(_SET, of="counter", new=str(int(row.value) + 1))

    await asyncio.gather(*(store.write(work) for _ in range(100)))
    assert await store.read(lambda unit: unit.all(LIKE, pattern="counter")) == [Value("100")]


async def test_attempts_on_one_account_are_counted_and_cleared_immediately(store: Store) -> None:
    """Both operations change the same rows; both succeed, and the count is correct."""
    for number in range(10):
        counters = throttle.counters("client", f"1:someone{number}@acme.example", f"192.0.2.{number}", None)

        async def attempt(counters: throttle.Counters = counters) -> None:
            await store.write(lambda unit: throttle.count(unit, counters, 1))
            await store.write(lambda unit: throttle.succeeded(unit, counters))

        await asyncio.gather(*(attempt() for _ in range(8)))
        left = {row[0] for row in await store.read(lambda unit: unit.all(_COUNT))}
        assert counters.origin.key not in left
        assert counters.account is not None
        assert counters.account.key not in left


async def test_of_parallel_attempts_only_the_free_ones_pass_and_count(store: Store) -> None:
    """Each attempt has read the counters before another one starts the wait."""
    counters = throttle.counters("client", "1:parallel@acme.example", "192.0.2.200", None)
    attempts = (store.write(lambda unit: throttle.count(unit, counters, 1000)) for _ in range(40))
    waits = await asyncio.gather(*attempts)
    assert waits.count(None) == throttle.ORIGIN.free
    assert {wait.ms for wait in waits if wait is not None} == {1000}
    keys = {counter.key for counter in counters.all()}
    failures = [count for key, count in await store.read(lambda unit: unit.all(_FAILURES)) if key in keys]
    assert failures == [throttle.ORIGIN.free] * 3


async def test_counters_that_overlap_never_deadlock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order in which an attempt names the counters doesn't matter, nor which ones already exist."""
    monkeypatch.setattr(postgres, "ATTEMPTS", 1)  # a deadlock isn't retried
    chosen, policy = random.Random(5), throttle.ADDRESS._replace(free=10_000)
    many = [throttle.Counter(throttle.key_of("overlap", number), policy) for number in range(6)]

    async def attempt() -> None:
        origin, account, *address = named = chosen.sample(many, 5)
        counters = throttle.Counters(tuple(address), origin, account)
        await store.write(lambda unit: throttle.count_each(unit, named, 1))
        await store.write(lambda unit: throttle.succeeded(unit, counters))

    for _ in range(25):
        await asyncio.gather(*(attempt() for _ in range(16)))


async def test_two_admins_who_remove_each_other_leave_one(store: Store, pair: Pair) -> None:
    def create(unit: TenantUnit, name: str) -> users.User:
        return users.create(
            unit,
            UNCOUNTED,
            email=f"{name}@acme.example",
            first_name=name,
            last_name="T",
            title="",
            roles=Role.ADMIN.bit,
            password_hash=None,
            now=1,
        )

    tenant = store.of(pair[0])
    both = [await tenant.write(lambda unit, n=n: create(unit, n)) for n in "ab"]  # type: ignore[misc]
    met = [asyncio.Event(), asyncio.Event()]

    def demote(number: int) -> asyncio.Task[users.User]:
        def work(unit: TenantUnit) -> users.User:
            user = users.get(unit, both[number].id, lock=True)
            met[number].set()
            if on_postgres(store):
                await_only(asyncio.wait_for(met[1 - number].wait(), 10))
            return users.set_roles(unit, UNCOUNTED, user, Role.VIEWER.bit, lambda _unit, _user: None, 0)

        return asyncio.create_task(tenant.write(work))

    outcomes = await asyncio.gather(demote(0), demote(1), return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["Conflict", "User"]
