"""Two users who work in one tenant at the same time, from two processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy.util.concurrency import await_only

from manifest_auth.errors import Conflict
from manifest_auth.store import Store, TenantUnit
from manifest_auth.work import Actor, job_operations, jobs, records, templates
from manifest_auth.work.job_rules import value_of
from manifest_auth.work.jobs import Job
from tests.support.stores import on_postgres
from tests.work import work_items

Operation = Callable[[TenantUnit], Any]
VALUE = value_of(value=1.5, unit="bar")


class WorkRace(NamedTuple):
    """A tenant with two users, seen from two processes."""

    stores: tuple[Store, Store]
    tenant_id: int
    one: Actor
    two: Actor

    async def write(self, operation: Callable[[TenantUnit], Any]) -> Any:
        return await self.stores[0].of(self.tenant_id).write(operation)

    async def job(self, *, started: bool = False, steps: int = 0, assigned: bool = False) -> Job:
        """A new job with ``steps`` of its three steps completed."""

        def make(unit: TenantUnit) -> Job:
            made = work_items.job(unit, self.one, started=started or steps > 0)
            if assigned:
                made = job_operations.assign(unit, self.one, made.id, self.one.user_id)
            for number in range(1, steps + 1):
                records.add(unit, self.one, made.id, number, VALUE)
                made = records.complete_step(unit, self.one, made.id, number)
            return made

        made: Job = await self.write(make)
        return made

    async def at_once(self, *operations: Operation) -> list[Any]:
        """The result of each operation, which can be a Conflict. On PostgreSQL, all are in a transaction before the
        first one acts; SQLite has one writer at a time, so the second one waits for its turn."""
        met = [asyncio.Event() for _ in operations]

        async def actor(number: int, operation: Operation) -> Any:
            store = self.stores[number % 2]

            def act(unit: TenantUnit) -> Any:
                templates.get_many(unit, [0])
                met[number].set()
                if on_postgres(store):
                    await_only(asyncio.wait_for(asyncio.gather(*(event.wait() for event in met)), 10))
                return operation(unit)

            try:
                return await store.of(self.tenant_id).write(act)
            except Conflict as refusal:
                return refusal

        return list(await asyncio.gather(*(actor(number, operation) for number, operation in enumerate(operations))))

    async def whole(self, job_id: int) -> Job:
        """The job, after checking that its content matches its row, and that each log entry starts where the previous
        one ended."""

        def read(unit: TenantUnit) -> Job:
            job = jobs.get(unit, job_id)
            log = jobs.numbered_log(unit, [job_id], 0, 1000)
            kept = records.numbered(unit, [job_id], 0, 1000)
            assert [entry.number for entry in log] == list(range(1, job.events + 1))
            assert [record.number for record in kept] == list(range(1, job.records + 1))
            assert [c.number for c in records.steps_of_jobs(unit, [job_id])] == list(range(1, job.done + 1))
            shown: dict[str, Any] = {"status": "UNASSIGNED", "assignedUserIds": [], "name": "Valve check"}
            for entry in log:
                for name, change in json.loads(entry.detail).items():
                    assert shown.get(name) == change["before"], (name, entry)
                    shown[name] = change["after"]
            assert (job.status, job.name) == (shown["status"], shown["name"])
            assert [user for _, user in job_operations.assignments_of(unit, [job_id])] == shown["assignedUserIds"]
            return job

        found: Job = await self.stores[0].of(self.tenant_id).read(read)
        return found


def does(operation: Callable[..., Any], *given: Any, **named: Any) -> Operation:
    """The operation as a unit of work."""
    return lambda unit: operation(unit, *given, **named)


def conflicts(outcomes: list[Any]) -> list[int]:
    """The Conflicts of the operations that came second."""
    return [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Conflict)]
