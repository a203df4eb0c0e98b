"""A used store of schema 0010 is upgraded: every row is as it was, no session is a device's, all keys still open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import App, running
from tests.support.envelope import check_success
from tests.support.password_guesses import PROXY

OLD = old_stores.read("0010")
KEYS = OLD.keys


@pytest.fixture(scope="module")
async def upgraded(empty_url: str) -> Rows:
    """The rows of the upgraded store, before anybody uses it."""
    return await OLD.upgraded(empty_url)


@pytest.fixture(scope="module")
async def app(empty_url: str, upgraded: Any) -> AsyncIterator[App]:
    """The application of today on it, when the last of its people had just come."""
    async with running(empty_url, **PROXY) as application:
        application.clock.ms = KEYS["now"]
        yield application


async def test_every_row_is_as_it_was_and_no_session_is_a_devices(upgraded: Rows) -> None:
    for table in OLD.rows.keys() - {"schema_state"}:
        OLD.is_as_it_was(table, upgraded[table])
    new = {"role_cap", "device_ends_at", "idle_s", "app_id", "device_id", "label"}
    assert {row[name] for row in upgraded["sessions"] for name in new} == {None}
    assert upgraded["sessions"]


async def test_its_sessions_still_open_by_all_three_keys(app: App) -> None:
    author = KEYS["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
        assert reply.data["roles"] == ["Author"]
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).status == 200
    assert check_success(await app.me(KEYS["machine"]["key"]))["roles"] == ["Viewer"]


async def test_its_clients_have_the_default_rules_for_devices(app: App) -> None:
    path = "/api/admin/clients/acme"
    settings = check_success(await app.get(path, token=KEYS["root"]["token"]))["settings"]
    assert settings["pairing"]["roles"] == ["Operator", "Viewer"]
    assert (settings["pairing"]["code"], settings["badge"]["enabled"]) == (False, False)
