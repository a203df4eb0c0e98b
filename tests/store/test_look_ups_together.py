"""Concurrent look-ups are combined into one statement, and each gets its own result."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Text, bindparam, insert, select

from manifest_auth.store import LookUps, Store, StoreUnavailable, among, cross_tenant, global_
from manifest_auth.store.tables import installation

_I = installation.c


class _Value(NamedTuple):
    name: str
    value: str


_AMONG = cross_tenant(select(_I.name, _I.value).where(among(_I.name, "keys")), _Value, because="a test reads it")
_ADD = global_(insert(installation).values(name=bindparam("name", type_=Text()), value=bindparam("value")))


def _asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The queries sent to the store from now on."""
    asked, look_up_all = list[dict[str, Any]](), store.look_up_all

    async def noting(statement: Any, **values: Any) -> Any:
        asked.append(values)
        return await look_up_all(statement, **values)

    monkeypatch.setattr(store, "look_up_all", noting)
    return asked


@pytest.fixture
def values(store: Store) -> LookUps[_Value]:
    return LookUps(store, _AMONG, lambda row: row.name)


async def _add(store: Store, prefix: str, count: int) -> list[str]:
    names = [f"{prefix}{number} ö\"'\\" for number in range(count)]
    await store.write(lambda unit: [unit.change(_ADD, name=name, value=f"of {name}") for name in names])
    return names


async def test_those_of_one_turn_are_one_statement_and_each_has_its_own_row(
    store: Store, values: LookUps[_Value], monkeypatch: pytest.MonkeyPatch
) -> None:
    names, asked = await _add(store, "one-turn", 40), _asked(store, monkeypatch)
    wanted = [*names, "nobody's", names[3]]
    found = await asyncio.gather(*(values.look_up(name) for name in wanted))
    assert [row and row.value for row in found] == [*(f"of {name}" for name in names), None, f"of {names[3]}"]
    assert len(asked) == 1
    assert (await values.look_up(names[0])) == (names[0], f"of {names[0]}")
    assert len(asked) == 2


async def test_each_sees_what_was_committed_before_it_asked(store: Store, values: LookUps[_Value]) -> None:
    async def adds_and_asks(number: int) -> _Value | None:
        [name] = await _add(store, f"before-{number}-", 1)
        return await values.look_up(name)

    assert all(await asyncio.gather(*map(adds_and_asks, range(20))))


async def test_one_who_gives_up_stops_no_other(store: Store, values: LookUps[_Value]) -> None:
    names = await _add(store, "gives-up", 3)
    first, second, third = (values.look_up(name) for name in names)
    first.cancel()
    assert [(await second).name, (await third).name] == names[1:]  # type: ignore[union-attr]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_store_that_fails_rejects_all_who_asked_and_the_next_are_answered(
    store: Store, values: LookUps[_Value], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(statement: Any, **values: Any) -> Any:
        raise StoreUnavailable("down")

    [name] = await _add(store, "fails", 1)
    with monkeypatch.context() as patched:
        patched.setattr(store, "look_up_all", fails)
        refused = await asyncio.gather(*(values.look_up(name) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in refused] == [StoreUnavailable] * 3
    assert await values.look_up(name) is not None
