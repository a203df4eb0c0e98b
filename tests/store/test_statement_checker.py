"""Statements that could access a tenant table without the tenant are rejected at definition, not at run time."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BindParameter, Select, bindparam, delete, exists, func, insert, select, union, update
from sqlalchemy.dialects.postgresql import insert as upsert_of_postgres
from sqlalchemy.exc import SQLAlchemyError

from manifest_auth.store import (
    Store,
    SystemUnit,
    TenantUnit,
    UnscopedStatement,
    cross_tenant,
    global_,
    tenant_scoped,
    upsert,
)
from manifest_auth.store.statements import TENANT
from manifest_auth.store.tables import installation, known_origins, sessions, tenants, users
from tests.store.conftest import Pair
from tests.store.rows import add
from tests.support.matrix import matrix

ME: BindParameter[int] = bindparam(TENANT)
REFUSED = (UnscopedStatement, SQLAlchemyError)
_U, _S = users.c, sessions.c
_SESSIONS_OF = _S.user_id == _U.id


def _sub(*conditions: Any) -> Select[Any]:
    return select(_S.user_id).where(*conditions)


_ALIAS = users.alias("u2")
_CTE = select(users).cte("everybody")
_DELETING = delete(users).returning(_U.id).cte("gone")
UNBINDABLE: dict[str, Any] = {
    "a table without a tenant": lambda: tenant_scoped(select(tenants)),
    "an insert into a table without a tenant": lambda: tenant_scoped(insert(installation).values(name="a", value="b")),
    "nothing at all": lambda: tenant_scoped(select(func.now())),
    "an alias": lambda: tenant_scoped(select(_ALIAS)),
    "an alias beside the table": lambda: tenant_scoped(select(users.c.id).join(_ALIAS, _ALIAS.c.id == _U.id)),
    "an outer join": lambda: tenant_scoped(select(_U.id).outerjoin(sessions, _SESSIONS_OF)),
    "a full join": lambda: tenant_scoped(select(_U.id).select_from(users.join(sessions, _SESSIONS_OF, full=True))),
    "a sub-query in FROM": lambda: tenant_scoped(select(select(users).subquery())),
    "a sub-query beside the table": lambda: tenant_scoped(select(_U.id, select(_S.id).subquery().c.id)),
    "a common table expression": lambda: tenant_scoped(select(_CTE)),
    "a common table expression that deletes": lambda: tenant_scoped(select(_DELETING)),
    "one that deletes beside the table": lambda: tenant_scoped(select(_U.id).where(_U.id.in_(select(_DELETING.c.id)))),
    "one that is only added": lambda: tenant_scoped(select(_U.id).add_cte(_DELETING)),
    "an unbound IN": lambda: tenant_scoped(select(_U.id).where(_U.id.in_(_sub()))),
    "an unbound EXISTS": lambda: tenant_scoped(select(_U.id).where(exists(select(_S.id)))),
    "an unbound scalar": lambda: tenant_scoped(select(_U.id, select(func.count(_S.id)).scalar_subquery())),
    "an unbound IN of a delete": lambda: tenant_scoped(delete(users).where(_U.id.in_(_sub()))),
    "an unbound value of an update": lambda: tenant_scoped(update(users).values(title=select(_S.id).scalar_subquery())),
    "a condition that is only one way of two": lambda: tenant_scoped(
        select(_U.id).where(_U.id.in_(_sub((_S.tenant_id == ME) | (_S.id == "x"))))
    ),
    "the condition turned round": lambda: tenant_scoped(select(_U.id).where(_U.id.in_(_sub(_S.tenant_id != ME)))),
    "the condition denied": lambda: tenant_scoped(select(_U.id).where(_U.id.in_(_sub(~(_S.tenant_id == ME))))),
    "the condition on another table": lambda: tenant_scoped(select(_U.id).where(_U.id.in_(_sub(_U.tenant_id == ME)))),
    "a union": lambda: tenant_scoped(union(select(_U.id), select(_U.id))),  # type: ignore[call-overload]
    "an update that reads another table": lambda: tenant_scoped(update(users).where(_SESSIONS_OF).values(title="x")),
    "an update that takes another table's value": lambda: tenant_scoped(
        update(users).where(_U.id == 1).values(title=_S.address)
    ),
    "a delete that reads another table": lambda: tenant_scoped(delete(users).where(_SESSIONS_OF)),
    "an update that gives rows to another tenant": lambda: tenant_scoped(
        update(users).values(tenant_id=bindparam("to"))
    ),
    "an upsert that gives rows to another tenant": lambda: tenant_scoped(
        upsert(known_origins).values(user_id=1).on_conflict_do_update(index_elements=["user_id"], set_={"tenant_id": 2})
    ),
    "an upsert that is not the store's own": lambda: tenant_scoped(
        upsert_of_postgres(known_origins)
        .values(user_id=1)
        .on_conflict_do_update(index_elements=["user_id"], set_={"tenant_id": 2})
    ),
    "an insert of what an outer join finds": lambda: tenant_scoped(
        insert(known_origins).from_select(["user_id"], select(_U.id).outerjoin(sessions, _SESSIONS_OF))
    ),
    "an insert of what a union finds": lambda: tenant_scoped(
        insert(known_origins).from_select(["user_id"], union(select(_U.id), select(_U.id)))
    ),
    "an insert of what an unbound IN finds": lambda: tenant_scoped(
        insert(known_origins).from_select(["user_id"], select(_U.id).where(_U.id.in_(_sub())))
    ),
    "an insert that takes the tenant from elsewhere": lambda: tenant_scoped(
        insert(known_origins).from_select(["user_id", "tenant_id"], select(_U.id, bindparam("to")))
    ),
    "a global read of a tenant's table": lambda: global_(select(users)),
    "a global sub-query": lambda: global_(select(tenants).where(tenants.c.id.in_(select(_U.tenant_id)))),
    "a global join": lambda: global_(select(tenants).join(users, _U.tenant_id == tenants.c.id)),
    "a global alias": lambda: global_(select(_ALIAS)),
    "a global insert": lambda: global_(insert(users).values(email="x")),
    "a global update": lambda: global_(update(users).values(email="x")),
    "a global delete": lambda: global_(delete(users)),
    "a global common table expression that deletes": lambda: global_(select(_DELETING)),
    "a global insert of what a select finds": lambda: global_(
        insert(installation).from_select(["name", "value"], select(_U.email, _U.email))
    ),
    "a global update that reads a tenant's table": lambda: global_(
        update(tenants).where(tenants.c.id == _U.tenant_id).values(name=_U.email)
    ),
}


@matrix("write_down", UNBINDABLE.values(), ids=UNBINDABLE.keys())
def test_is_rejected(write_down: Any) -> None:
    with pytest.raises(REFUSED):
        write_down()


def test_what_is_bound_throughout_is_accepted() -> None:
    tenant_scoped(select(_U.id).where(_U.id.in_(_sub(_S.tenant_id == ME))))
    tenant_scoped(select(_U.id).where(_U.id.in_(_sub(_S.tenant_id == ME, _S.id == "x"))))
    tenant_scoped(select(_U.id).join(sessions, _SESSIONS_OF))
    tenant_scoped(select(_U.id, tenants.c.name).join(tenants, tenants.c.id == _U.tenant_id))
    tenant_scoped(update(users).values(title=bindparam("title")).returning(_U.id))
    tenant_scoped(delete(users).where(_U.id == bindparam("id")))


async def test_a_tenants_unit_runs_no_cross_tenant_statement(store: Store, pair: Pair) -> None:
    everybody = cross_tenant(select(_U.id), because="test")
    remove = cross_tenant(delete(users), because="test")
    await store.write(lambda unit: add(unit, users, pair[1]))

    def work(unit: TenantUnit) -> None:
        for run in (unit.first, unit.all):
            with pytest.raises(UnscopedStatement):
                run(everybody)  # type: ignore[arg-type]
        with pytest.raises(UnscopedStatement):
            unit.change(remove)  # type: ignore[arg-type]

    await store.of(pair[0]).write(work)


async def test_the_systems_unit_runs_no_bound_statement(store: Store) -> None:
    mine = tenant_scoped(select(_U.id))

    def work(unit: SystemUnit) -> None:
        for run in (unit.first, unit.all):
            with pytest.raises(UnscopedStatement):
                run(mine)  # type: ignore[arg-type]
            with pytest.raises(UnscopedStatement):
                run(mine, **{TENANT: 1})  # type: ignore[arg-type]
        with pytest.raises(UnscopedStatement):
            unit.change(tenant_scoped(delete(users)))  # type: ignore[arg-type]

    await store.write(work)


async def test_a_tenants_unit_offers_no_way_to_another_tenant(store: Store, pair: Pair) -> None:
    def work(unit: TenantUnit) -> None:
        assert not hasattr(unit, "of")
        assert unit.tenant_id == pair[0]

    await store.of(pair[0]).write(work)
