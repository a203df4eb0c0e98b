"""Fixtures: each kind of store opened on a new schema, and audit trails that no other test uses."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from manifest_auth import audit
from manifest_auth import audit as trail
from manifest_auth.audit import AuditVerdict, Event, Origin, Point
from manifest_auth.store import Store, TenantUnit, open_store
from tests.support.secret_keys import MACS

_numbers = itertools.count(100)


@dataclass
class Chain:
    """An audit trail for one test, and ways to change the database without any rules."""

    store: Store
    url: str
    number: int

    async def grow(self, events: int, at: int = 1_000, event: Event = Event.SIGNED_IN) -> None:
        """Record this many events, one second apart."""

        def work(unit: TenantUnit) -> None:
            for step in range(events):
                origin = Origin(at + step * 1_000, f"user:{step}", "192.0.2.1", f"r-{step}")
                audit.record(unit, origin, event, f"user:{step}", method="password", step=step, name="Ünï")

        await self.store.of(self.number).write(work)

    async def begin(self, at: int = 1_000) -> None:
        """Record that a client was created."""
        origin = Origin(at, "admin:1", "192.0.2.1", "r-0")
        await self.store.write(lambda unit: audit.record_creation(unit, self.number, origin, identifier="x"))

    async def by_hand(self, *statements: str) -> None:
        """Run SQL; ``{c}`` stands for the trail's number."""
        texts = [statement.replace("{c}", str(self.number)) for statement in statements]
        if self.url.startswith("sqlite"):
            raw = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
            for text in texts:
                raw.execute(text)
            raw.close()
            return
        remote: Any = await asyncpg.connect(self.url)
        for text in texts:
            await remote.execute(text)
        await remote.close()

    async def rows(self, statement: str) -> list[Any]:
        """The result of a SELECT; ``{c}`` stands for the trail's number."""
        text = statement.replace("{c}", str(self.number))
        if self.url.startswith("sqlite"):
            raw = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
            found: list[Any] = raw.execute(text).fetchall()
            raw.close()
            return found
        remote: Any = await asyncpg.connect(self.url)
        found = [tuple(row) for row in await remote.fetch(text)]
        await remote.close()
        return found

    async def verdict(self, known: Point | None = None) -> AuditVerdict:
        return await trail.verify(self.store, self.number, lambda _: None, known)

    async def faults(self) -> list[tuple[int, str]]:
        """Number and kind of each fault that is found."""
        return [(fault.sequence, fault.kind) for fault in (await self.verdict()).faults]


async def begun(store: Store, url: str, number: int, events: int = 9) -> Chain:
    """A trail with this many events."""
    made = Chain(store, url, number)
    await made.begin()
    await made.grow(events - 1, at=2_000)
    return made


@pytest.fixture(scope="module")
async def store(database_url: str) -> AsyncIterator[Store]:
    """A store of each kind with the current schema, shared by a module's tests."""
    opened = open_store(database_url, 8, macs=MACS)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def chain(store: Store, database_url: str) -> Chain:
    """A trail with nine events."""
    return await begun(store, database_url, next(_numbers))
