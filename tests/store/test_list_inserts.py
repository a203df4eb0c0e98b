"""INSERT … SELECT from rows passed as one parameter, and from rows of the tenant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as each
from hypothesis import strategies as st
from sqlalchemy import bindparam, insert, select

from manifest_auth.store import Store, TenantUnit, cell, row_list, rows, tenant_scoped
from manifest_auth.store.tables import template_steps, template_versions
from tests.store.conftest import Pair
from tests.store.rows import add
from tests.support.rules import rule

_S, _V = template_steps.c, template_versions.c
_COLUMNS = ("number", "title", "instructions", "requires_evidence")
_GIVEN = row_list("steps")
_PUT = tenant_scoped(
    insert(template_steps).from_select(
        ["version_id", *_COLUMNS],
        select(_V.id, *(cell(_GIVEN, n, _S[name]) for n, name in enumerate(_COLUMNS))).where(_V.id == bindparam("id")),
    )
)
_ALL = tenant_scoped(select(*(_S[name] for name in ("tenant_id", "version_id", *_COLUMNS))).order_by(_S.number))
_VERSION = tenant_scoped(select(_V.id))


async def version_of(store: Store, tenant_id: int) -> int:
    await store.write(lambda unit: add(unit, template_versions, tenant_id))
    [(version_id,)] = await store.of(tenant_id).read(lambda unit: unit.all(_VERSION))
    return int(version_id)


async def test_rows_arrive_as_they_were_given(store: Store, pair: Pair) -> None:
    version_id = await version_of(store, pair[0])
    listed_rows = [(1, "'; --", '"a\\b"\n[1]', 0), (2, "123", "", 1), (3, "true", "null", 0), (4, "😀 ü", "\u2028", 1)]
    done = await store.of(pair[0]).write(lambda unit: unit.change(_PUT, id=version_id, steps=rows(listed_rows)))
    assert done == 4
    assert await store.of(pair[0]).read(lambda unit: unit.all(_ALL)) == [
        (pair[0], version_id, *row) for row in listed_rows
    ]
    assert await store.of(pair[1]).read(lambda unit: unit.all(_ALL)) == []


async def test_no_rows_write_nothing(store: Store, pair: Pair) -> None:
    version_id = await version_of(store, pair[0])
    assert await store.of(pair[0]).write(lambda unit: unit.change(_PUT, id=version_id, steps=rows([]))) == 0


@rule("TENANT-ISOLATION")
async def test_what_is_selected_from_is_the_tenants_own(store: Store, pair: Pair) -> None:
    """The version belongs to another tenant, so nothing is found or written for either of them."""
    theirs = await version_of(store, pair[1])

    def work(unit: TenantUnit) -> int:
        return unit.change(_PUT, id=theirs, steps=rows([(1, "a", "", 0)]))

    assert await store.of(pair[0]).write(work) == 0
    for tenant_id in pair:
        assert await store.of(tenant_id).read(lambda unit: unit.all(_ALL)) == []


@each(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))))
def test_rows_are_json_whatever_they_hold(values: list[Any]) -> None:
    assert json.loads(rows(values)) == [list(row) for row in values]


def test_a_cells_position_is_a_number() -> None:
    with pytest.raises(ValueError):
        cell(_GIVEN, "0; --", _S.title)  # type: ignore[arg-type]
