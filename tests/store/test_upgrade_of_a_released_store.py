"""Upgrades a used database of each release: every row is unchanged, and its users' tokens and cookies still work.

A release can already have the current schema, so the upgrade goes one revision further
(``tests/releases/next_release.py``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from manifest_auth import audit
from manifest_auth.store import migrate
from tests.releases import listed, next_release
from tests.store import old_stores
from tests.store.old_stores import OldStore, Rows
from tests.support.application import App, running
from tests.support.attempt_limits import PROXY
from tests.support.envelope import check_success
from tests.support.postgres import Databases
from tests.support.stores import schema_number


def test_there_is_a_store_of_every_release() -> None:
    releases = {version: schema for version, _, schema in listed.lines()} | {"0.1.0": listed.FIRST}
    assert {name: old_stores.read(name).schema for name in old_stores.STORES} == releases
    assert set(releases.values()) <= set(migrate.SCHEMAS)


@pytest.fixture(scope="module", params=old_stores.STORES)
def old(request: pytest.FixtureRequest) -> OldStore:
    return old_stores.read(request.param)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, old: OldStore, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database for each old store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('store') / 'test.db'}"
    server: Databases = request.getfixturevalue("postgres")
    return server.empty_database()


@pytest.fixture(scope="module", autouse=True)
def next_schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        next_release.learn(tmp_path_factory.mktemp("next"), patch)
        yield next_release.SCHEMA


@pytest.fixture(scope="module")
async def upgraded(old: OldStore, url: str) -> Rows:
    """The rows of the upgraded database, before anybody uses it."""
    return await old.upgraded(url)


@pytest.fixture(scope="module")
async def app(old: OldStore, url: str, upgraded: Any) -> AsyncIterator[App]:
    """The current application on the database, at the time of its last user activity."""
    async with running(url, **PROXY) as application:
        application.clock.ms = old.keys["now"]
        yield application


async def test_every_row_is_as_it_was(old: OldStore, upgraded: Rows, url: str, next_schema: str) -> None:
    assert await schema_number(url) == next_schema
    for table in old.rows.keys() - old_stores.CHANGED:
        old.is_as_it_was(table, upgraded[table])


async def test_its_sessions_still_open_by_all_keys(app: App, old: OldStore) -> None:
    author = old.keys["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
        assert reply.data["roles"] == ["Author"]
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).status == 200
    assert check_success(await app.me(old.keys["machine"]["key"]))["roles"] == ["Viewer"]
    assert (await app.me(old.keys["viewer"]["token"])).status == 401  # signed out
    assert check_success(await app.me(cookie=old.keys["ada"]["cookie"]))["user"]["email"] == "ada@globex.example"


async def test_its_people_sign_in_and_its_system_admin_acts(app: App, old: OldStore) -> None:
    assert (await app.sign_in("operator@acme.example")).status == 200
    root = old.keys["root"]["token"]
    assert check_success(await app.get("/api/admin/clients/acme", token=root))["identifier"] == "acme"


async def test_its_trail_is_whole_and_goes_on(app: App) -> None:
    assert (await app.sign_in("viewer@acme.example")).status == 200
    for verdict in await audit.verify_all(app.services.store, lambda _: None, {}):
        assert verdict.faults == []
