"""A derived session inherits each column from its parent except its keys, and never outlives it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.util.concurrency import await_only

from manifest_auth import sessions as sessions_of_users
from manifest_auth.sessions.sessions import INHERITED, OWN
from manifest_auth.store import SystemUnit, cross_tenant, global_
from manifest_auth.store.tables import sessions
from tests.http.apps.relying import parts, relying
from tests.http.sign_in.continued import AUTH, Child, child_of, code_for, exchange, id_of, is_open, signed_in
from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.stores import on_postgres

_ROWS = cross_tenant(select(sessions), because="a test looks at every column of two")
_WAITING = global_(
    select(func.count())
    .select_from(text("pg_stat_activity"))
    .where(text("datname = current_database() AND wait_event_type = 'Lock'")),
    int,
)


def _waits(unit: SystemUnit) -> bool:
    """Whether a transaction waits for a row."""
    return unit.one(_WAITING) > 0


@rule("SESSION-FROM-SESSION")
async def test_every_column_is_inherited_or_its_own(app: App) -> None:
    """A new column of the table must be listed, because whether a session inherits it is a decision."""
    assert {*INHERITED, *OWN} == set(sessions.c.keys())
    ada, keys, visitor = await signed_in(app)
    app.clock.advance(60)
    child = await child_of(visitor, ada.client)
    ids = [await id_of(app, token) for token in (keys.token, child["token"])]

    def work(unit: SystemUnit) -> list[dict[str, Any]]:
        rows = [dict(zip(sessions.c.keys(), row, strict=True)) for row in unit.all(_ROWS)]
        return [next(row for row in rows if row["id"] == one) for one in ids]

    parent, own = await app.services.store.read(work)
    assert {name: parent[name] for name in INHERITED} == {name: own[name] for name in INHERITED}
    assert (own["parent_id"], parent["parent_id"]) == (parent["id"], None)
    assert parent["cookie_hash"] != own["cookie_hash"]
    web = await relying(app, ada.client)
    ids[1] = parts((await web.tokens(visitor))["id_token"])[1]["sid"]
    parent, own = await app.services.store.read(work)
    limited = {"ends_at", "device_ends_at"}  # by the app
    assert {name: parent[name] for name in INHERITED if name not in limited} == {
        name: own[name] for name in INHERITED if name not in limited
    }
    assert (own["parent_id"], own["app_id"], own["ends_at"] <= parent["ends_at"]) == (parent["id"], web.id, True)


ENDING: dict[str, tuple[str, str, Any]] = {
    "sign-out": ("POST", f"{AUTH}/sign-out", None),
    "sign-out-all": ("POST", f"{AUTH}/sign-out-all", None),
    "end of the client's": ("DELETE", "/api/admin/clients/<client>/sessions", None),
    "suspension": ("POST", "/api/admin/clients/<client>/suspend", None),
    "shorter sessions": ("PATCH", "/api/admin/clients/<client>", {"settings": {"sessions": {"maxSeconds": 300}}}),
}


@rule("SESSION-FROM-SESSION")
@matrix("act", ENDING)
async def test_what_ends_its_session_during_the_exchange_ends_it(
    app: App, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the session's row, and looked for sessions before the new one existed."""
    ada, keys, visitor = await signed_in(app)
    code, ends, admin = await code_for(visitor, ada.client), list[asyncio.Task[Reply]](), await app.admin_token()
    method, path, body = ENDING[act]
    token = keys.token if path.startswith(AUTH) else admin
    open_child = sessions_of_users.open_child

    def opened(*given: Any) -> Any:
        made = open_child(*given)
        ends.append(asyncio.create_task(app.send(method, path.replace("<client>", ada.client), body, token=token)))
        while on_postgres(app.services.store) and not await_only(app.services.store.read(_waits)):
            await_only(asyncio.sleep(0.01))
        return made

    monkeypatch.setattr(sessions_of_users, "open_child", opened)
    child: Child = check_success(await exchange(app, code))
    check_success(await ends[0])
    if act == "suspension":
        check_success(await app.post(f"/api/admin/clients/{ada.client}/restore", token=admin))
    app.clock.advance(300)
    assert not await is_open(app, child)
