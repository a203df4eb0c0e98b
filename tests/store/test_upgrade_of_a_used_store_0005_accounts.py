"""Upgrade of a used store of schema 0005: accounts, sessions and keys stay valid.

In ``store_0005_accounts.json`` people of two clients signed in and out, changed a password and mistyped one, and a
system admin changed roles. The tables are made by that schema's own revision.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from manifest_auth import audit
from manifest_auth.store import cross_tenant, migrate
from manifest_auth.store.tables import audit_events, audit_heads
from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import App, running
from tests.support.stores import schema_number

pytestmark = pytest.mark.one_store  # revisions up to 0008 no longer change
OLD = old_stores.read("0005_accounts")
KEYS = OLD.keys


@pytest.fixture(scope="module")
async def upgraded(empty_url: str) -> Rows:
    """The rows of the upgraded store, before anybody uses it."""
    rows = await OLD.upgraded(empty_url)
    assert await schema_number(empty_url) == migrate.HEAD
    return rows


@pytest.fixture(scope="module")
async def app(empty_url: str, upgraded: Any) -> AsyncIterator[App]:
    """The application of today on it."""
    async with running(empty_url) as application:
        yield application


@pytest.mark.parametrize("table", OLD.rows)
def test_every_row_is_there_as_it_was(upgraded: Rows, table: str) -> None:
    OLD.is_as_it_was(table, upgraded[table])


def test_the_store_was_used(upgraded: Any) -> None:
    """The test above would say nothing of empty tables."""
    assert all(OLD.rows.values())


def test_no_one_signed_in_through_a_provider(upgraded: Rows) -> None:
    assert {row["provider_id"] for row in upgraded["sessions"]} == {None}


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
    assert made.data["id"] > max(row["id"] for row in OLD.named("users"))


async def test_its_clients_can_have_providers(app: App) -> None:
    oidc = {"issuer": "https://idp.example", "clientId": "x"}
    body = {"name": "first", "oidc": oidc}
    made = await app.post("/api/admin/clients/acme/providers", body, token=await app.admin_token())
    assert made.status == 201, made.text
    assert (await app.get("/api/admin/clients/acme", token=await app.admin_token())).data["settings"]["passwordSignIn"]


async def test_the_chains_of_the_audit_trail_are_whole_and_go_on(app: App) -> None:
    await app.sign_in("author@acme.example")
    columns = audit_events.c.keys()
    events = cross_tenant(select(audit_events).order_by(audit_events.c.sequence), because="the test reads all chains")
    heads = cross_tenant(
        select(audit_heads.c.sequence, audit_heads.c.hash).where(audit_heads.c.tenant_id == bindparam("t")),
        because="the test reads all chains",
    )
    found = [
        dict(zip(columns, row, strict=True)) for row in await app.services.store.read(lambda unit: unit.all(events))
    ]

    async def head_of(tenant_id: int) -> Any:
        return await app.services.store.read(lambda unit: unit.first(heads, t=tenant_id))

    assert len(found) > len(OLD.named("audit_events"))
    for chain in {event["tenant_id"] for event in found}:
        before, number = "0" * 64, 0
        for event in (e for e in found if e["tenant_id"] == chain):
            assert (event["previous_hash"], event["sequence"]) == (before, number + 1)
            assert audit.digest(chain, event) == event["hash"]
            before, number = event["hash"], event["sequence"]
        assert await head_of(chain) == (number, before)
