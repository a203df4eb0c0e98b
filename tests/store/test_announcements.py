"""Announcements of a unit of work arrive on all nodes after its commit, and never without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from manifest_auth.errors import InvalidCredentials, NotFound
from manifest_auth.store import Announcement, Store, SystemUnit, open_store
from tests.store.test_units_of_work import ADD, found
from tests.support.stores import ONLY_POSTGRESQL, on_postgres, serving


@pytest.fixture
async def heard(store: Store) -> AsyncIterator[list[Announcement]]:
    """The announcements that this process receives."""
    said: list[Announcement] = []
    listener = said.append
    store.on_announcement(listener)
    yield said
    store._listeners.remove(listener)


async def test_an_announcement_is_delivered_before_its_writer_goes_on(store: Store, heard: list[Announcement]) -> None:
    def work(unit: SystemUnit) -> None:
        unit.announce("session", "committed")
        unit.of(1).announce("user", 7)
        assert Announcement("session", "committed") not in heard  # not before the commit

    await store.write(work)
    assert Announcement("session", "committed") in heard
    assert Announcement("user", "7") in heard


async def test_nothing_is_announced_by_a_unit_that_was_rolled_back(store: Store, heard: list[Announcement]) -> None:
    def work(unit: SystemUnit) -> None:
        unit.announce("session", "rolled-back")
        raise NotFound()

    with pytest.raises(NotFound):
        await store.write(work)
    await store.write(lambda unit: unit.announce("session", "later"))
    await asyncio.sleep(0.05)
    assert Announcement("session", "later") in heard
    assert Announcement("session", "rolled-back") not in heard


@pytest.mark.parametrize("way", ["write", "write_quickly"])
async def test_nothing_is_announced_by_those_of_a_group_that_were_rolled_back(
    store: Store, heard: list[Announcement], way: str
) -> None:
    def unit_of(number: int) -> asyncio.Future[None]:
        def work(unit: SystemUnit) -> None:
            unit.announce("session", f"{way}-{number}")
            if number % 2:
                raise NotFound()

        running: asyncio.Future[None] = asyncio.ensure_future(getattr(store, way)(work))
        return running

    await asyncio.gather(*map(unit_of, range(20)), return_exceptions=True)
    await store.write(lambda unit: unit.announce("session", "the end"))
    said = [a.key for a in heard if a.key.startswith(f"{way}-")]
    assert set(said) == {f"{way}-{number}" for number in range(0, 20, 2)}


async def test_a_refusal_that_keeps_its_writes_announces_them(store: Store, heard: list[Announcement]) -> None:
    def work(unit: SystemUnit) -> None:
        unit.announce("session", "kept")
        raise InvalidCredentials()

    with pytest.raises(InvalidCredentials):
        await store.write(work)
    assert Announcement("session", "kept") in heard


async def test_a_process_hears_itself_without_a_beat(store: Store, database_url: str) -> None:
    """A process's own commits are delivered locally, not through the database."""
    alone = open_store(database_url, 2)
    said: list[Announcement] = []
    await alone.open()
    alone.on_announcement(said.append)

    def refused(unit: SystemUnit) -> None:
        unit.announce("session", "refused")
        raise InvalidCredentials()

    try:
        await alone.write(lambda unit: unit.announce("session", "done"))
        with pytest.raises(InvalidCredentials):
            await alone.write(refused)
        assert said == [Announcement("session", "done"), Announcement("session", "refused")]
    finally:
        await alone.close()


@ONLY_POSTGRESQL
async def test_another_process_hears_what_was_committed_and_finds_it(store: Store, database_url: str) -> None:
    """On SQLite, nothing is announced to other processes, because they see the commit in the file."""
    async with serving(database_url) as other:
        arrived: asyncio.Queue[Announcement] = asyncio.Queue()
        other.on_announcement(arrived.put_nowait)

        def work(unit: SystemUnit) -> None:
            unit.change(ADD, name="announced", value="1")
            unit.announce("session", "elsewhere")

        await store.write(work)
        async with asyncio.timeout(60):
            # Earlier ones can come first, because a node receives everything as recent as the server's oldest
            # transaction.
            while await arrived.get() != Announcement("session", "elsewhere"):
                pass
        assert await found(other, "announced") == "1"


async def test_a_store_that_does_not_serve_remembers_nothing_on_postgresql(store: Store) -> None:
    await asyncio.sleep(0.5)
    assert (store.version() is None) is on_postgres(store)
