"""Limits of one process on DNS look-ups of domain records, and on notices about domains that two clients claim."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from manifest_auth.errors import RateLimited
from manifest_auth.runtime.settings import load
from manifest_auth.tenants.claims import DomainRecords
from manifest_auth.tenants.claims.dns_lookup import DnsVerdict, Record
from tests.support.application import FrozenClock

CLIENT, OTHER = 1, 2
DAY = 86_400


class Waiting(DomainRecords):
    """Name servers that respond when the test says so."""

    def __init__(self) -> None:
        self.clock, self.respond = FrozenClock(), asyncio.Event()
        nothing: Any = None
        super().__init__(load({}), nothing, self.clock)

    async def _ask_all(self, record: Record) -> DnsVerdict:
        await self.respond.wait()
        return DnsVerdict(True)


async def test_a_client_has_four_look_ups_at_a_time_and_leaves_others_theirs() -> None:
    records = Waiting()

    async def begun(tenant_id: int, name: str) -> asyncio.Task[DnsVerdict]:
        task = asyncio.create_task(records.look_up(Record(name, "value"), tenant_id))
        await asyncio.sleep(0)
        return task

    tasks = [await begun(CLIENT, f"{number}.example") for number in range(4)]
    fifth = await begun(CLIENT, "4.example")
    assert fifth.done()
    with pytest.raises(RateLimited):
        await fifth
    tasks.append(await begun(OTHER, "4.example"))
    records.respond.set()
    assert [(await task).proved for task in tasks] == [True] * 5
    assert (await records.look_up(Record("4.example", "value"), CLIENT)).proved
    assert not records._under_way


async def test_a_name_is_looked_up_once_in_ten_seconds_for_each_client() -> None:
    records = Waiting()
    records.respond.set()
    for after, tenant_id, waits in ((0, CLIENT, 0), (0, OTHER, 0), (1, CLIENT, 9), (8, CLIENT, 1), (1, CLIENT, 0)):
        records.clock.advance(after)
        try:
            await records.look_up(Record("one.example", "value"), tenant_id)
            found = 0
        except RateLimited as refusal:
            found = refusal.retry_after or 0
        assert found == waits, (after, tenant_id)


async def test_a_contest_is_told_once_a_day_for_each_domain_and_client() -> None:
    records = Waiting()
    assert records.should_notify("one.example", CLIENT)
    assert records.should_notify("one.example", OTHER)
    assert records.should_notify("two.example", CLIENT)
    records.clock.advance(DAY - 1)
    assert not records.should_notify("one.example", CLIENT)
    records.clock.advance(1)
    assert records.should_notify("one.example", CLIENT)
