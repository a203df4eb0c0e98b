"""Upgrade of a used store of schema 0005: templates, jobs, users and sealed values stay valid.

In ``store_0005_work.json`` jobs were done, begun and canceled, templates written, a user was invited, people came in by
SAML, one is still away at the provider, and Microsoft's tokens are kept.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from manifest_auth import audit
from manifest_auth.operations.reencrypt import SEALED
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import audit_events, file_totals, sealed_for
from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import App, running
from tests.support.jobs import READ
from tests.support.user_management import NEW

pytestmark = pytest.mark.one_store  # revisions up to 0008 no longer change
OLD = old_stores.read("0005_work")
KEYS = OLD.keys
_WHY = "the test reads everything"


@pytest.fixture(scope="module")
async def upgraded(empty_url: str) -> Rows:
    """The rows of the upgraded store, before anybody uses it."""
    return await OLD.upgraded(empty_url)


@pytest.fixture(scope="module")
async def app(empty_url: str, upgraded: Any) -> AsyncIterator[App]:
    """The application of today on it."""
    async with running(empty_url) as application:
        yield application


@pytest.mark.parametrize("table", OLD.rows)
def test_every_row_is_there_as_it_was(upgraded: Rows, table: str) -> None:
    OLD.is_as_it_was(table, upgraded[table])


def test_the_store_was_used() -> None:
    """The test above would say nothing of empty tables."""
    assert all(OLD.rows.values())


def test_nothing_new_is_said_of_what_was_there(upgraded: Rows) -> None:
    assert {row["delete_at"] for row in upgraded["tenants"]} == {None}


async def test_the_files_of_each_client_are_counted(app: App) -> None:
    sums: dict[int, int] = {}
    for file in OLD.rows["files"]:
        sums[file["tenant_id"]] = sums.get(file["tenant_id"], 0) + file["size"]
    statement = cross_tenant(select(file_totals.c.tenant_id, file_totals.c.bytes), because=_WHY)
    found = await app.services.store.read(lambda unit: unit.all(statement))
    assert {row[0]: row[1] for row in found} == sums
    assert sum(sums.values()) > 0


async def test_its_sessions_still_open(app: App) -> None:
    author = KEYS["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).status == 200
    assert (await app.get("/api/admin/auth/me", token=KEYS["admin"]["token"])).status == 200
    alice = (await app.me(cookie=KEYS["alice"]["cookie"])).data
    assert (alice["user"]["email"], alice["session"]["method"]) == ("alice@acme.example", "saml")
    gone = KEYS["gone"]
    for reply in (
        await app.me(gone["token"]),
        await app.me(cookie=gone["cookie"]),
        await app.refresh(gone["refreshToken"]),
    ):
        assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_its_work_is_there_and_goes_on(app: App) -> None:
    token = (await app.sign_in("operator@acme.example")).data["token"]

    async def job(number: int) -> Any:
        body = {"query": READ, "variables": {"id": number}}
        return (await app.post("/api/client/graphql", body, token=token)).json["data"]["job"]

    assert (await job(KEYS["work"]["done"]))["status"] == "COMPLETED"
    going = await job(KEYS["work"]["going"])
    assert (going["status"], [step["isCompleted"] for step in going["steps"]]) == ("IN_PROGRESS", [True, False, False])
    assert any(record["file"] for record in going["records"])
    done = await app.graphql(
        f"mutation {{ completeStep(jobId: {going['id']}, stepNumber: 2) {{ currentStep {{ number }} }} }}", token
    )
    assert done.json["data"]["completeStep"]["currentStep"]["number"] == 3


async def test_an_invitation_of_before_lets_in(app: App) -> None:
    token = KEYS["invited"]["link"].rpartition("#")[2]
    reply = await app.post("/api/client/auth/invitations/accept", {"token": token, "password": NEW})
    assert reply.data["user"]["email"] == "invited@acme.example"


async def test_everything_sealed_opens(app: App) -> None:
    seen = set()
    for part in SEALED:
        statement = cross_tenant(select(*(part.column.table.c[name] for name in part.columns)), because=_WHY)
        for row in await app.services.store.read(lambda unit, s=statement: unit.all(s)):  # type: ignore[misc]
            values = dict(zip(part.columns, row, strict=True))
            if values[part.column.name] is not None:
                assert app.services.sealer.open(values[part.column.name], sealed_for(part.column, **values))
                seen.add(part.name)
    assert {"signing_keys.secret", "providers.secrets", "sign_in_flows.secrets", "kept_tokens.tokens"} <= seen


async def test_its_clients_and_admins_have_what_is_new(app: App) -> None:
    admin = await app.admin_token()
    for path in ("clients", "audit", "clients/acme/sessions", "admins", "keys", "status"):
        reply = await app.get(f"/api/admin/{path}", token=admin)
        assert reply.status == 200, (path, reply.text)


async def test_the_chains_of_the_audit_trail_are_whole_and_go_on(app: App) -> None:
    await app.sign_in("author@acme.example")
    events = cross_tenant(select(audit_events).order_by(audit_events.c.sequence), because=_WHY)
    columns = audit_events.c.keys()
    found = [
        dict(zip(columns, row, strict=True)) for row in await app.services.store.read(lambda unit: unit.all(events))
    ]
    assert len(found) > len(OLD.named("audit_events"))
    for chain in {event["tenant_id"] for event in found}:
        before, number = "0" * 64, 0
        for event in (e for e in found if e["tenant_id"] == chain):
            assert (event["previous_hash"], event["sequence"]) == (before, number + 1)
            assert audit.digest(chain, event) == event["hash"]
            assert isinstance(json.loads(event["detail"]), dict)
            before, number = event["hash"], event["sequence"]
