"""Upgrade of a used store of schema 0008: every row is as it was, every user is a person, and seats are as before.

``store_0008.json`` was written by the release whose schema is 0008.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import App, running
from tests.support.password_guesses import PROXY

pytestmark = pytest.mark.one_store  # revisions up to 0008 no longer change
OLD = old_stores.read("0008")
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


@pytest.mark.parametrize("table", OLD.rows)
def test_every_row_is_there_as_it_was(upgraded: Rows, table: str) -> None:
    OLD.is_as_it_was(table, upgraded[table])


def test_every_user_is_a_person(upgraded: Rows) -> None:
    assert {row["kind"] for row in upgraded["users"]} == {"person"}


async def test_its_sessions_still_open_by_all_three_keys(app: App) -> None:
    author = KEYS["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).status == 200
    assert (await app.me(cookie=KEYS["viewer"]["cookie"])).code == "INVALID_TOKEN"


async def test_its_people_sign_in(app: App) -> None:
    assert (await app.sign_in("author@acme.example")).status == 200
