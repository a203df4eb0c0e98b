"""A store that an earlier release made and filled is upgraded, keeps everything, and its keys still open.

``store_0001.json`` was written by the release whose schema is 0001: people of two clients signed in and out, changed a
password and mistyped one, and a system admin changed roles. The tables are made by that schema's own revision.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, bindparam, create_engine, insert, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from manifest_auth import audit
from manifest_auth.store import crossing, migrate
from manifest_auth.store.tables import audit_events, audit_heads, metadata
from tests.support.house import App, running

OLD: dict[str, Any] = json.loads((Path(__file__).parent / "store_0001.json").read_text("utf-8"))
KEYS = OLD["keys"]
MIGRATIONS = Path(migrate.__file__).parent / "migrations"


def rows_of(table: str) -> list[dict[str, Any]]:
    return [
        {name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value for name, value in row.items()}
        for row in OLD["rows"][table]
    ]


def _make_and_fill(connection: Connection) -> None:
    """The tables of schema 0001, from nothing, and the rows."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, "0001")
    there = MetaData()
    there.reflect(connection)
    for table in (there.tables[t.name] for t in metadata.sorted_tables if t.name in OLD["rows"]):
        connection.execute(table.delete())  # the revision itself gives the installation a number
        if rows := rows_of(table.name):
            connection.execute(insert(table), rows)
        if connection.dialect.name == "postgresql" and rows and isinstance(rows[0].get("id"), int):
            # As pg_dump does; SQLite takes note of the largest id by itself.
            newest = max(row["id"] for row in rows)
            connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {newest})"))


def _rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """What is in the tables that were there before, by their columns of today."""
    found = {}
    for name in OLD["rows"]:
        table = metadata.tables[name]
        rows = connection.execute(select(table).order_by(*table.primary_key.columns))
        found[name] = [dict(row._mapping) for row in rows]
    return found


async def _in(url: str, work: Any) -> Any:
    if url.startswith("sqlite"):
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            return work(connection)
    remote = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    async with remote.begin() as opened:
        return await opened.run_sync(work)


@pytest.fixture(scope="module")
async def kept(database_url: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of the upgraded store, before anybody uses it."""
    await _in(database_url, _make_and_fill)
    assert await migrate.current_version(database_url) == "0001"
    assert await migrate.upgrade(database_url) is True
    assert await migrate.current_version(database_url) == migrate.HEAD
    found: dict[str, list[dict[str, Any]]] = await _in(database_url, _rows)
    return found


@pytest.fixture(scope="module")
async def app(database_url: str, kept: Any) -> AsyncIterator[App]:
    """The application of today on it."""
    async with running(database_url) as application:
        yield application


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: sorted((name, str(value)) for name, value in row.items()))


@pytest.mark.parametrize("table", OLD["rows"])
def test_every_row_is_there_as_it_was(kept: dict[str, list[dict[str, Any]]], table: str) -> None:
    before = rows_of(table)
    names = set(before[0]) if before else set()
    after = [{name: value for name, value in row.items() if name in names} for row in kept[table]]
    assert _sorted(after) == _sorted(before)


def test_the_store_was_used(kept: Any) -> None:
    """The test above would say nothing of empty tables."""
    empty = {name for name, rows in OLD["rows"].items() if not rows}
    assert empty == {"licences"}


def test_nobody_signed_in_through_a_provider(kept: dict[str, list[dict[str, Any]]]) -> None:
    assert {row["provider_id"] for row in kept["sessions"]} == {None}


async def test_its_sessions_still_open_by_all_three_keys(app: App) -> None:
    author = KEYS["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
        assert reply.data["session"]["method"] == "password"
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).data["user"]["email"] == "author@acme.example"
    assert (await app.get("/api/admin/auth/me", token=KEYS["admin"]["token"])).status == 200


async def test_what_was_ended_stays_ended(app: App) -> None:
    operator = KEYS["operator"]
    for reply in (
        await app.me(operator["token"]),
        await app.me(cookie=operator["cookie"]),
        await app.refresh(operator["refreshToken"]),
    ):
        assert (reply.status, reply.code) == (401, "INVALID_TOKEN")
    assert (await app.sign_in("viewer@acme.example")).code == "ACCOUNT_DISABLED"


async def test_people_sign_in_as_before(app: App) -> None:
    publisher = await app.sign_in("publisher@globex.example", KEYS["publisher"]["password"])
    assert publisher.data["user"]["clientId"] == "globex"
    operator = await app.sign_in("operator@acme.example")
    assert set(operator.data["user"]["roles"]) == {"Author", "Operator"}


async def test_new_users_get_new_numbers(app: App) -> None:
    body = {"email": "new@acme.example", "roles": ["Viewer"], "firstName": "", "lastName": ""}
    made = await app.post("/api/admin/clients/acme/users", body, token=await app.admin_token())
    assert made.data["id"] > max(row["id"] for row in rows_of("users"))


async def test_its_clients_can_have_providers(app: App) -> None:
    oidc = {"issuer": "https://idp.example", "clientId": "x"}
    body = {"name": "first", "oidc": oidc}
    made = await app.post("/api/admin/clients/acme/providers", body, token=await app.admin_token())
    assert made.status == 201, made.text
    assert (await app.get("/api/admin/clients/acme", token=await app.admin_token())).data["settings"]["passwordSignIn"]


async def test_the_chains_of_the_audit_trail_are_whole_and_go_on(app: App) -> None:
    await app.sign_in("author@acme.example")
    columns = audit_events.c.keys()
    events = crossing(select(audit_events).order_by(audit_events.c.sequence), because="the test reads all chains")
    heads = crossing(
        select(audit_heads.c.sequence, audit_heads.c.hash).where(audit_heads.c.tenant_id == bindparam("t")),
        because="the test reads all chains",
    )
    found = [dict(zip(columns, row, strict=True)) for row in await app.house.store.read(lambda unit: unit.all(events))]

    async def head_of(tenant_id: int) -> Any:
        return await app.house.store.read(lambda unit: unit.first(heads, t=tenant_id))

    assert len(found) > len(rows_of("audit_events"))
    for chain in {event["tenant_id"] for event in found}:
        before, number = "0" * 64, 0
        for event in (e for e in found if e["tenant_id"] == chain):
            assert (event["previous_hash"], event["sequence"]) == (before, number + 1)
            assert audit.digest(chain, event) == event["hash"]
            before, number = event["hash"], event["sequence"]
        assert await head_of(chain) == (number, before)
