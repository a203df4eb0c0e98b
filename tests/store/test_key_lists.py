"""SQL conditions on many keys at the same time, and on keys from another table of the same tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from manifest_auth.store import Store, TenantUnit, among_pairs, pairs, tenant_condition, tenant_scoped
from manifest_auth.store.tables import sessions, template_versions, users
from tests.store.conftest import Pair
from tests.store.rows import add
from tests.support.matrix import matrix

_V = template_versions.c
_PAIRS = tenant_scoped(select(_V.template_id, _V.number).where(among_pairs(_V.template_id, _V.number, "keys")))
_SIGNED_IN = tenant_scoped(
    select(users.c.id).where(users.c.id.in_(select(sessions.c.user_id).where(tenant_condition(sessions))))
)


async def test_only_pairs_that_were_asked_for_are_found(store: Store, pair: Pair) -> None:
    own, other = pair

    def keys(unit: TenantUnit) -> list[Any]:
        return unit.all(tenant_scoped(select(_V.template_id, _V.number)))

    for _ in range(2):
        await store.write(lambda unit: [add(unit, template_versions, tenant) for tenant in pair])
    (a, m), (b, n) = await store.of(own).read(keys)
    theirs = (await store.of(other).read(keys))[0]
    for wanted, expected in (
        ([(a, m), (b, n)], {(a, m), (b, n)}),
        ([(a, n), (b, m), (b, n)], {(b, n)}),
        ([theirs], set()),
        ([], set()),
    ):
        found = await store.of(own).read(lambda unit, w=wanted: unit.all(_PAIRS, keys=pairs(w)))  # type: ignore[misc]
        assert set(found) == expected


@matrix("evil", [("1", "2], [3"), (1, "x"), (1, None)])
def test_pairs_are_numbers_and_nothing_else(evil: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        pairs([evil])


async def test_a_sub_query_sees_the_units_tenant_alone(store: Store, pair: Pair) -> None:
    own, other = pair
    await store.write(lambda unit: [add(unit, sessions, tenant) for tenant in pair])
    read: Callable[[int], Any] = lambda tenant: store.of(tenant).read(lambda unit: unit.all(_SIGNED_IN))  # noqa: E731
    assert len(await read(own)) == len(await read(other)) == 1
    assert await read(own) != await read(other)


def test_what_a_sub_query_must_carry_has_a_name() -> None:
    tenant_scoped(
        select(users.c.id).where(users.c.id.in_(select(sessions.c.user_id).where(tenant_condition(sessions))))
    )
    with pytest.raises(Exception, match="not scoped"):
        tenant_scoped(
            select(users.c.id).where(users.c.id.in_(select(sessions.c.user_id).where(sessions.c.id == bindparam("x"))))
        )
