"""Upgrade of a used store of schema 0006: everything is kept, its keys are valid, and nothing new is chosen.

``store_0006.json`` was written by the release whose schema is 0006: two clients with settings of their own, a domain
that waits for its proof, users and a system admin who signed in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import App, running

pytestmark = pytest.mark.one_store  # revisions up to 0008 no longer change
OLD = old_stores.read("0006")
KEYS = OLD.keys


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


def test_no_user_chose_a_language_and_no_admin_session_has_a_cookie(upgraded: Rows) -> None:
    assert {row["language"] for row in upgraded["users"]} == {None}
    shown = {(row["cookie_hash"], row["cookie_seen_at"], row["proved_at"]) for row in upgraded["admin_sessions"]}
    assert shown == {(None, None, None)}


async def test_its_sessions_still_open_by_all_three_keys(app: App) -> None:
    author = KEYS["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).data["client"]["name"] == "Acme Works"
    assert (await app.get("/api/admin/auth/me", token=KEYS["root"]["token"])).status == 200


async def test_what_was_ended_stays_ended(app: App) -> None:
    assert (await app.me(cookie=KEYS["viewer"]["cookie"])).code == "INVALID_TOKEN"


async def test_what_its_clients_settled_holds(app: App) -> None:
    acme = (await app.get("/api/admin/clients/acme", token=await app.admin_token())).data["settings"]
    assert acme["allowedOrigins"] == ["https://app.acme.example"]
    assert acme["returnAddresses"] == ["https://app.acme.example/in", "com.acme.app:/in"]
    assert (acme["password"]["minLength"], acme["password"]["history"]) == (12, 2)
    globex = (await app.get("/api/admin/clients/globex", token=await app.admin_token())).data["settings"]
    assert globex["refreshStrict"] is True
