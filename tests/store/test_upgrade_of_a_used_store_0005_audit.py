"""Upgrade of a used store of schema 0005: an audit trail cut by retention stays whole and continues.

In ``store_0005_trail.json`` three clients were created, one was deleted and went with its trail, retention cut the
others' beginnings, and a system admin enrolled a second factor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from manifest_auth import audit
from manifest_auth.store import migrate, open_store
from tests.audit.conftest import Chain
from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import App, running
from tests.support.secret_keys import MACS, the_keys
from tests.support.system_admins import Phone, sign_in

pytestmark = pytest.mark.one_store  # revisions up to 0008 no longer change
OLD = old_stores.read("0005_trail")
KEYS = OLD.keys


@pytest.fixture(scope="module")
async def upgraded(empty_url: str) -> Rows:
    """The rows of the upgraded store, before anybody uses it. Of two nodes that upgrade at once one does it."""
    await OLD.make(empty_url)
    if empty_url.startswith("sqlite"):
        assert await migrate.upgrade(empty_url, the_keys) is True
    else:
        both = await asyncio.gather(*(migrate.upgrade(empty_url, the_keys) for _ in range(2)))
        assert sorted(both) == [False, True]
    return await OLD.found(empty_url)


@pytest.fixture(scope="module")
async def app(empty_url: str, upgraded: Any) -> AsyncIterator[App]:
    """The application of today on it."""
    async with running(empty_url) as application:
        yield application


@pytest.mark.parametrize("table", OLD.rows)
def test_every_row_is_there_as_it_was(upgraded: Rows, table: str) -> None:
    OLD.is_as_it_was(table, upgraded[table])


def test_the_ends_are_signed_and_tied_to_each_other(upgraded: Rows) -> None:
    assert [(row["tenant_id"], row["previous_chain"]) for row in upgraded["audit_heads"]] == [(0, 2), (1, 0), (2, 1)]
    assert all(len(row["mac"]) == 64 for table in ("audit_heads", "audit_anchors") for row in upgraded[table])


async def test_the_trail_is_whole_and_goes_on(app: App) -> None:
    for _ in range(2):
        verdicts = await audit.verify_all(app.services.store, lambda _: None, {})
        assert [(v.chain, v.client, v.faults) for v in verdicts] == [(0, None, []), (1, "acme", []), (2, "globex", [])]
        assert (await app.sign_in("author@acme.example")).status == 200
    assert (await app.get("/api/admin/audit", token=await app.admin_token())).status == 200


async def test_people_and_their_second_factors_are_as_before(app: App) -> None:
    author = KEYS["author"]
    assert (await app.me(author["token"])).status in (200, 401)  # that day may be over
    assert (await app.sign_in("operator@acme.example")).status == 200
    app.clock.ms = max(app.clock.ms, KEYS["now"]) + 60_000
    username = KEYS["second"]["username"]
    assert (await sign_in(app, username)).status == 401
    assert (await sign_in(app, username, otp=Phone(app, KEYS["second"]["secret"]).code())).status == 200
    assert (await sign_in(app, username, otp=KEYS["second"]["codes"][0])).status == 200


async def test_a_mac_that_is_missing_afterwards_is_not_made_by_a_later_start(empty_url: str, app: App) -> None:
    store = open_store(empty_url, 2, macs=MACS)
    await store.open()
    try:
        chain = Chain(store, empty_url, 1)
        await chain.by_hand("UPDATE audit_heads SET mac = '' WHERE tenant_id = {c}")
        assert await migrate.upgrade(empty_url, the_keys) is False
        assert [kind for _, kind in await chain.faults()] == ["head"]
    finally:
        await store.close()
