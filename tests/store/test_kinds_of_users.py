"""Statements on users apply only to people, unless they explicitly include every kind."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, exists, func, insert, select, update

from manifest_auth.store import (
    Store,
    SystemUnit,
    TenantUnit,
    UnscopedStatement,
    cross_tenant,
    tenant_condition,
    tenant_scoped,
)
from manifest_auth.store.tables import sessions, users
from tests.store.conftest import Pair
from tests.support.rules import rule
from tests.support.statements import every_statement

_U = users.c
#: The only statements that include service accounts, each on purpose.
EVERY_KIND = {
    "accounts.service_accounts.rows._BY_CLIENT_ID",
    "accounts.service_accounts.rows._ANY",
    "accounts.service_accounts.rows._BY_ID",
    "accounts.service_accounts.rows._CHANGE_USER",
    "accounts.service_accounts.rows._LOCKED",
    "accounts.service_accounts.rows._SWITCH",
    "accounts.service_accounts.rows._TAKEN",
    "accounts.users._CALLER",
    "accounts.users._NAMED",
    "sessions.principals.BY_SECRET",
    "sessions.principals.BY_SERVICE_TOKEN",
}
_ROW = {"email": "e", "email_key": "e", "first_name": "f", "last_name": "l", "title": "", "roles": 1, "created_at": 1}


def _add(unit: TenantUnit, name: str, kind: str) -> None:
    row = {**_ROW, "email_key": name, "kind": kind}
    unit.change(tenant_scoped(insert(users).values({key: bindparam(key) for key in row})), **row)


@rule("MACHINE-APART")
async def test_no_statement_but_those_listed_reaches_a_service_account() -> None:
    found = set()
    for name, statement in every_statement().items():
        sql = statement.sqlite.sql
        is_narrowed = "kind = 'person'" in sql or "kind != 'service'" in sql
        if not is_narrowed and any(word in sql for word in ("FROM users", "UPDATE users", "JOIN users")):
            found.add(name.removeprefix("manifest_auth."))
    assert found == EVERY_KIND


async def test_reads_changes_and_counts_reach_people_alone(store: Store, pair: Pair) -> None:
    tenant_id, _ = pair
    names = tenant_scoped(select(_U.email_key), str)
    count = tenant_scoped(select(func.count()).select_from(users), int)
    retitle = tenant_scoped(update(users).values(title="x"))
    inside = tenant_scoped(select(_U.email_key).where(exists(select(_U.id).where(tenant_condition(users)))), str)
    everyone = tenant_scoped(select(_U.email_key).order_by(_U.id), str, every_kind=True)
    of_all = cross_tenant(select(_U.email_key).where(_U.tenant_id == bindparam("t")), str, because="test")

    def work(unit: SystemUnit) -> None:
        own = unit.of(tenant_id)
        _add(own, "ada", "person")
        _add(own, "robot", "service")
        assert own.all(names) == own.all(inside) == unit.all(of_all, t=tenant_id) == ["ada"]
        assert (own.one(count), own.change(retitle)) == (1, 1)
        assert own.all(everyone) == ["ada", "robot"]

    await store.write(work)


@pytest.mark.parametrize("make", [tenant_scoped, lambda source: cross_tenant(source, because="test")])
def test_a_sub_query_that_can_read_service_accounts_is_rejected(make: Any) -> None:
    inner = select(_U.id).where(_U.tenant_id == bindparam("_tenant"))
    with pytest.raises(UnscopedStatement, match="users may read rows of every kind"):
        make(select(sessions.c.id).where(sessions.c.user_id.in_(inner)))
