"""Upgrade of a used store of schema 0009: every row is as it was, and what was handed out before still opens.

``store_0009.json`` was written by the release whose schema is 0009. A passkey, and a user who is gone, are added to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, insert, text

from manifest_auth.store import migrate
from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import App, running
from tests.support.envelope import check_success
from tests.support.password_guesses import PROXY
from tests.support.secret_keys import the_keys
from tests.support.system_admins import AUTH
from tests.support.user_management import NEW, reset

OLD = old_stores.read("0009")
KEYS = OLD.keys
EXCHANGE = "/api/client/auth/exchange"
GONE = 4711  # id of a user whose row was deleted
PASSKEY = {
    "tenant_id": 2, "user_id": 8, "id": "pass", "credential_id": "credential", "public_key": b"", "algorithm": -7,
    "counter": 0, "transports": "", "aaguid": "", "name": "", "backup_eligible": 0, "backup_state": 0, "rp_id": "",
    "created_at": 1,
}  # fmt: skip


def _more(connection: Connection) -> None:
    there = MetaData()
    there.reflect(connection)
    connection.execute(insert(there.tables["passkeys"]), PASSKEY)
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT setval(pg_get_serial_sequence('users', 'id'), {GONE})"))
        return
    users = there.tables["users"]
    someone = {**OLD.named("users")[0], "id": GONE, "email_key": "gone@acme.example"}
    connection.execute(insert(users), someone)
    connection.execute(users.delete().where(users.c.id == GONE))


@pytest.fixture(scope="module")
async def upgraded(empty_url: str) -> Rows:
    """The rows of the upgraded store, before anybody uses it."""
    await OLD.make(empty_url)
    await old_stores.within(empty_url, _more)
    assert await migrate.upgrade(empty_url, the_keys) is True
    return await OLD.found(empty_url)


@pytest.fixture(scope="module")
async def app(empty_url: str, upgraded: Any) -> AsyncIterator[App]:
    """The application of today on it, when the last of its people had just come."""
    async with running(empty_url, **PROXY) as application:
        application.clock.ms = KEYS["now"]
        yield application


@pytest.mark.parametrize("table", sorted(OLD.rows.keys() - {"passkeys"}))
def test_every_row_is_there_as_it_was(upgraded: Rows, table: str) -> None:
    OLD.is_as_it_was(table, upgraded[table])


async def test_a_credential_has_the_client_that_had_it(empty_url: str, upgraded: Rows) -> None:
    def owners(connection: Connection) -> list[Any]:
        return list(connection.execute(text("SELECT credential_id, tenant_id FROM passkey_owners")))

    assert upgraded["passkeys"] == [{**PASSKEY, "last_used_at": None}]
    assert await old_stores.within(empty_url, owners) == [("credential", 2)]


async def test_its_sessions_still_open_by_all_three_keys(app: App) -> None:
    author = KEYS["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).status == 200
    assert (await app.me(cookie=KEYS["ada"]["cookie"])).data["user"]["email"] == "ada@globex.example"
    assert (await app.get(f"{AUTH}/me", token=KEYS["root"]["token"])).status == 200
    assert (await app.me(cookie=KEYS["viewer"]["cookie"])).code == "INVALID_TOKEN"


async def test_its_one_time_code_opens_a_session_once(app: App) -> None:
    data = check_success(await app.post(EXCHANGE, {"code": KEYS["ada"]["code"]}))
    assert data["user"]["email"] == "ada@globex.example"
    assert (await app.post(EXCHANGE, {"code": KEYS["ada"]["code"]})).status == 401


async def test_its_api_key_and_its_link_work(app: App) -> None:
    assert check_success(await app.me(KEYS["machine"]["key"]))["roles"] == ["Viewer"]
    data = (await reset(app, KEYS["operator"]["link"].partition("#")[2], NEW)).data
    assert data["user"]["email"] == "operator@acme.example"


async def test_its_people_sign_in_and_a_new_one_gets_a_new_number(app: App, empty_url: str) -> None:
    assert (await app.sign_in("author@acme.example")).status == 200

    def add(connection: Connection) -> int:
        there = MetaData()
        there.reflect(connection)
        users = there.tables["users"]
        new = {**OLD.named("users")[0], "email_key": "new@acme.example"}
        del new["id"]
        return int(connection.execute(insert(users).returning(users.c.id), new).scalar_one())

    assert await old_stores.within(empty_url, add) > GONE
