"""A unit that locks what earlier ones expected is one round trip, and never decides by rows that differ from that.
Changes of one statement that arrive together are one round trip too."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, delete, insert, select, update

from manifest_auth.store import Store, SystemUnit, global_, postgres, tenant_scoped, upsert
from manifest_auth.store.tables import installation, users
from tests.store.conftest import Pair
from tests.store.test_change_later import statements_of_postgresql
from tests.support.matrix import matrix
from tests.support.stores import ONLY_POSTGRESQL

pytestmark = ONLY_POSTGRESQL
_C, _U = installation.c, users.c
_NEW: dict[str, Any] = {name: bindparam(name) for name in ("name", "value")}
_OF = _C.name == bindparam("of")
_ADD = global_(insert(installation).values(_NEW))
_PLUS = global_(update(installation).where(_OF).values(value=_C.value + "1"))
_PUT = global_(upsert(installation).values(_NEW).on_conflict_do_update(index_elements=["name"], set_=_NEW))
_DROP, _READ = global_(delete(installation).where(_OF)), global_(select(_C.value).where(_OF), str)
_FIND, _HOLD = (global_(select(column).where(_OF).with_for_update(), str) for column in (_C.value, _C.name))
_SET, _DELETE = "UPDATE installation SET value = 'new'", "DELETE FROM installation"
_numbers = itertools.count()


@pytest.fixture
async def name(store: Store) -> str:
    """A row whose value is ``first``, as later units expect."""
    name = f"once{next(_numbers)}"

    def fill(unit: SystemUnit) -> None:
        unit.change(_ADD, name=name, value="first")
        unit.change(_ADD, name=f"{name} old", value="")
        unit.expect(_FIND, ("first",), of=name)
        unit.expect(_HOLD, (name,), of=name)

    await store.write(fill)
    return name


def decide(unit: SystemUnit, name: str, statement: Any = _FIND) -> str:
    """Copies what the row's lock returns, and makes each kind of change."""
    found = unit.first(statement, of=name) or "nothing"
    unit.change_later(_ADD, name=f"{name} copy", value=found)
    unit.change_later(_PUT, name=f"{name} last", value=found)
    unit.change_later(_PLUS, of=name)
    unit.change_later(_DROP, of=f"{name} old")
    return str(found)


@matrix("is_waiting", [False, True], ids=["before", "while it waits"])
@matrix(("sql", "value"), [("", "first"), (_SET, "new"), (_DELETE, None)], ids=["unchanged", "changed", "deleted"])
@matrix("locks", [_FIND, _HOLD], ids=["reads the value", "reads only the key"])
async def test_it_decides_by_what_it_locks(
    store: Store, database_url: str, name: str, is_waiting: bool, sql: str, value: str | None, locks: Any
) -> None:
    """Another transaction changes the row before the unit, or commits while the unit waits for its lock."""
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("BEGIN")
        if sql:
            await other.execute(f"{sql} WHERE name = '{name}'")
        with statements_of_postgresql() as sent:
            if not is_waiting:
                await other.execute("COMMIT")
            unit = asyncio.create_task(store.write_at_once(1, lambda unit: decide(unit, name, locks)))
            if is_waiting:
                await until_somebody_waits(other, is_due=bool(sql))
                await other.execute("COMMIT")
            found = await unit
    finally:
        await other.close()
    current = name if locks is _HOLD and value else value or "nothing"
    assert found == current
    assert ("BEGIN" in sent) == (found not in ("first", name))  # only then it isn't one round trip
    after = [name, f"{name} copy", f"{name} last", f"{name} old"]
    read = await store.read(lambda unit: [unit.first(_READ, of=each) for each in after])
    assert read == [value and f"{value}1", current, current, None]


async def until_somebody_waits(other: Any, *, is_due: bool) -> None:
    async with asyncio.timeout(60):
        while is_due and not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)


async def test_a_unit_whose_turn_does_not_come_runs_without_it(
    store: Store, database_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ACQUIRE_TIMEOUT", 0.05)
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("BEGIN")
        await other.execute(f"{_SET} WHERE name = '{name}'")
        first = asyncio.create_task(store.write_at_once(1, lambda unit: decide(unit, name)))
        await until_somebody_waits(other, is_due=True)
        assert await store.write_at_once(1, lambda unit: unit.change(_PLUS, of=f"{name} old")) == 1
        assert not first.done()
        await other.execute("COMMIT")
        assert await first == "new"
    finally:
        await other.close()


_ROLES = tenant_scoped(
    update(users).where(_U.id == bindparam("of"), _U.roles == bindparam("old")).values(roles=bindparam("new"))
)


async def test_each_of_several_changes_learns_what_it_changed(store: Store, pair: Pair, user_id: int) -> None:
    async def change(tenant_id: int, old: int, new: int) -> int:
        return await store.of(tenant_id).change_one(_ROLES, of=user_id, old=old, new=new)

    mine, other = pair
    with statements_of_postgresql() as sent:
        changes = (change(mine, 1, 2), change(mine, 9, 2), change(other, 1, 2), change(mine, 1, 4))
        first, *none, last = await asyncio.gather(*changes)
    assert len(sent) == 1
    assert none == [0, 0]
    assert {first, last} == {0, 1}  # both replace the same value
    assert await change(mine, 2 if first else 4, 8) == 1


async def test_a_change_that_waits_for_a_lock_holds_up_no_other(
    store: Store, pair: Pair, user_id: int, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a caller who gives up take the others of its group along."""
    monkeypatch.setattr(postgres, "LONG_GROUP_S", 0)
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("BEGIN")
        await other.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", user_id)
        tenant = store.of(pair[0])
        waiting = [asyncio.create_task(tenant.change_one(_ROLES, of=user_id, old=1, new=2)) for _ in range(3)]
        await until_somebody_waits(other, is_due=True)
        assert await tenant.change_one(_ROLES, of=0, old=1, new=2) == 0
        waiting.pop(0).cancel()
        await other.execute("COMMIT")
        assert [await each for each in waiting] == [0, 0]  # the change of the one that gave up came first
    finally:
        await other.close()
    assert await tenant.change_one(_ROLES, of=user_id, old=2, new=3) == 1
