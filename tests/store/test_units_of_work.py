"""One unit of work is one transaction, with the same guarantees on both databases and in both coding styles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

import pytest
from sqlalchemy import bindparam, delete, insert, select, update

from manifest_auth.errors import Conflict, InvalidCredentials, NotFound
from manifest_auth.store import Store, SystemUnit, global_, open_store
from manifest_auth.store.tables import installation


class Value(NamedTuple):
    value: str


_C = installation.c
ADD = global_(insert(installation).values(name=bindparam("name"), value=bindparam("value")))
FIND = global_(select(_C.value).where(_C.name == bindparam("name")), Value)
LIKE = global_(select(_C.value).where(_C.name.like(bindparam("pattern"))), Value)
SET = global_(update(installation).where(_C.name == bindparam("of")).values(value=bindparam("new")))
CLEAR = global_(delete(installation).where(_C.name != "id"))
CALLER: ContextVar[str] = ContextVar("caller", default="")
Write = Callable[[Callable[[SystemUnit], Any]], Awaitable[Any]]


@pytest.fixture(params=["write", "write_quickly"])
async def write(store: Store, request: pytest.FixtureRequest) -> Write:
    """Both ways to write, each on an empty table."""
    await store.write(lambda unit: unit.change(CLEAR))
    way: Write = getattr(store, request.param)
    return way


async def found(store: Store, name: str) -> str | None:
    row = await store.read(lambda unit: unit.first(FIND, name=name))
    return row.value if row else None


async def test_a_write_is_seen_by_reads_and_look_ups_once_it_returned(store: Store, write: Write) -> None:
    assert await write(lambda unit: unit.change(ADD, name="seen", value="1")) == 1
    assert await found(store, "seen") == "1"
    assert await store.look_up(FIND, name="seen") == Value("1")
    assert await store.look_up(FIND, name="never") is None


async def test_a_write_is_seen_by_another_connection_once_it_returned(
    store: Store, write: Write, database_url: str
) -> None:
    other = open_store(database_url, 2)
    await other.open()
    try:
        for number in range(20):
            name = f"elsewhere-{number}"
            await write(lambda unit, name=name: unit.change(ADD, name=name, value="x"))  # type: ignore[misc]
            assert await other.look_up(FIND, name=name) == Value("x")
            assert await found(other, name) == "x"
    finally:
        await other.close()


async def test_an_exception_rolls_everything_back(store: Store, write: Write) -> None:
    def work(unit: SystemUnit) -> None:
        unit.change(ADD, name="rolled-back-1", value="x")
        unit.change(ADD, name="rolled-back-2", value="x")
        raise NotFound()

    with pytest.raises(NotFound):
        await write(work)
    assert await found(store, "rolled-back-1") is None
    assert await found(store, "rolled-back-2") is None


async def test_a_bug_rolls_everything_back_and_is_raised_as_it_is(store: Store, write: Write) -> None:
    def work(unit: SystemUnit) -> None:
        unit.change(ADD, name="bug", value="x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write(work)
    assert await found(store, "bug") is None


async def test_a_refusal_that_keeps_writes_is_committed_and_raised(store: Store, write: Write) -> None:
    def work(unit: SystemUnit) -> None:
        unit.change(ADD, name="mark", value="left")
        raise InvalidCredentials()

    with pytest.raises(InvalidCredentials):
        await write(work)
    assert await found(store, "mark") == "left"


async def test_a_unit_sees_its_own_writes(store: Store, write: Write) -> None:
    def work(unit: SystemUnit) -> Value | None:
        unit.change(ADD, name="own", value="1")
        unit.change(SET, of="own", new="2")
        return unit.first(FIND, name="own")

    assert await write(work) == Value("2")


async def test_a_value_that_must_be_unique_is_a_conflict_and_takes_its_unit_back(store: Store, write: Write) -> None:
    await write(lambda unit: unit.change(ADD, name="taken", value="first"))

    def work(unit: SystemUnit) -> None:
        unit.change(ADD, name="before-the-clash", value="x")
        unit.change(ADD, name="taken", value="second")

    with pytest.raises(Conflict):
        await write(work)
    assert await found(store, "taken") == "first"
    assert await found(store, "before-the-clash") is None


async def test_a_unit_that_reads_cannot_write(store: Store, write: Write) -> None:
    with pytest.raises(Exception, match=r"(?i)read-?only"):
        await store.read(lambda unit: unit.change(ADD, name="by-a-reader", value="x"))
    assert await found(store, "by-a-reader") is None


async def test_one_unit_that_reads_sees_one_state(store: Store, write: Write, database_url: str) -> None:
    """A reader's second statement doesn't see a commit that happens after its first."""
    await write(lambda unit: unit.change(ADD, name="moving", value="before"))
    other = open_store(database_url, 2)
    await other.open()
    loop = asyncio.get_running_loop()
    try:

        def change_elsewhere() -> None:
            asyncio.run(_change_on_a_store_of_its_own(database_url))

        if database_url.startswith("sqlite"):  # the reader has its own thread, so it can wait for another one

            def work(unit: SystemUnit) -> tuple[Value | None, Value | None]:
                first = unit.first(FIND, name="moving")
                change_elsewhere()
                return first, unit.first(FIND, name="moving")

            assert await store.read(work) == (Value("before"), Value("before"))
        else:
            from sqlalchemy.util.concurrency import await_only

            def work(unit: SystemUnit) -> tuple[Value | None, Value | None]:
                first = unit.first(FIND, name="moving")
                await_only(loop.run_in_executor(None, change_elsewhere))
                return first, unit.first(FIND, name="moving")

            assert await store.read(work) == (Value("before"), Value("before"))
        assert await found(store, "moving") == "after"
    finally:
        await other.close()


async def _change_on_a_store_of_its_own(database_url: str) -> None:
    own = open_store(database_url, 2)
    await own.open()
    await own.write(lambda unit: unit.change(SET, of="moving", new="after"))
    await own.close()


async def test_many_units_at_the_same_time_stand_or_fall_each_for_itself(store: Store, write: Write) -> None:
    """In a group commit, a rejected unit doesn't affect its neighbors, and none of their changes are lost."""

    def unit_of(number: int) -> asyncio.Future[int] | asyncio.Task[int]:
        def work(unit: SystemUnit) -> int:
            unit.change(ADD, name=f"storm-{number:03}-a", value=str(number))
            if number % 5 == 0:
                raise NotFound()
            if number % 7 == 0:
                raise InvalidCredentials()
            if number % 11 == 0:
                unit.change(ADD, name="storm-000-clash", value="only one")
            unit.change(ADD, name=f"storm-{number:03}-b", value=str(number))
            return number

        return asyncio.ensure_future(write(work))

    outcomes = await asyncio.gather(*(unit_of(n) for n in range(1, 301)), return_exceptions=True)
    winners = 0
    rows = {row.value for row in await store.read(lambda unit: unit.all(LIKE, pattern="storm-%-a"))}
    seconds = {row.value for row in await store.read(lambda unit: unit.all(LIKE, pattern="storm-%-b"))}
    for number, outcome in enumerate(outcomes, 1):
        kept, whole = str(number) in rows, str(number) in seconds
        if number % 5 == 0:
            assert isinstance(outcome, NotFound)
            assert (kept, whole) == (False, False)
        elif number % 7 == 0:
            assert isinstance(outcome, InvalidCredentials)
            assert (kept, whole) == (True, False)
        elif number % 11 == 0 and isinstance(outcome, Conflict):
            assert (kept, whole) == (False, False)
        else:
            winners += number % 11 == 0
            assert outcome == number
            assert (kept, whole) == (True, True)
    assert winners == 1


async def test_a_unit_does_not_run_in_the_context_of_another_caller(store: Store, write: Write) -> None:
    """Otherwise, the spans of one request would be part of another one's trace."""
    seen = set()

    async def call(name: str) -> None:
        CALLER.set(name)
        await write(lambda unit: seen.add((name, CALLER.get())))

    await asyncio.gather(*map(call, "abc"))
    assert len(seen) == 3
    assert {(name, caller) for name, caller in seen if caller not in ("", name)} == set()
