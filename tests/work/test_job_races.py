"""Two who act on one job at once, from two processes: the same holds afterwards as if one had come after the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy.util.concurrency import await_only

from manifest_auth.errors import Conflict
from manifest_auth.store import Store, TenantUnit, open_store
from manifest_auth.work import (
    Actor,
    assignments,
    editorial,
    job_log,
    job_moves,
    job_steps,
    jobs,
    records,
    templates,
    versions,
)
from manifest_auth.work.job_rules import value_of
from manifest_auth.work.jobs import Job
from manifest_auth.work.versions import Version
from tests.storage.conftest import Pair
from tests.support import work

ROUNDS = 5
Verb = Callable[[TenantUnit], Any]
VALUE = value_of(value=1.5, unit="bar")


class Shop(NamedTuple):
    """A tenant with two who work in it, seen from two processes."""

    stores: tuple[Store, Store]
    tenant_id: int
    one: Actor
    two: Actor

    async def write(self, verb: Callable[[TenantUnit], Any]) -> Any:
        return await self.stores[0].of(self.tenant_id).write(verb)

    async def job(self, *, started: bool = False, steps: int = 0, assigned: bool = False) -> Job:
        """A new job; ``steps``: so many of its three are completed."""

        def make(unit: TenantUnit) -> Job:
            made = work.job(unit, self.one, started=started or steps > 0)
            if assigned:
                made = assignments.assign(unit, self.one, made.id, self.one.user_id)
            for number in range(1, steps + 1):
                records.add(unit, self.one, made.id, number, VALUE)
                made = job_steps.complete(unit, self.one, made.id, number)
            return made

        made: Job = await self.write(make)
        return made

    async def at_once(self, *verbs: Verb) -> list[Any]:
        """What came of each; a Conflict counts as an outcome. On PostgreSQL all of them are in a transaction before the
        first one acts; SQLite has one writer at a time, so that the second one waits for its turn."""
        met = [asyncio.Event() for _ in verbs]

        async def party(number: int, verb: Verb) -> Any:
            store = self.stores[number % 2]

            def act(unit: TenantUnit) -> Any:
                templates.get_many(unit, [0])
                met[number].set()
                if store.remembers:
                    await_only(asyncio.wait_for(asyncio.gather(*(event.wait() for event in met)), 10))
                return verb(unit)

            try:
                return await store.of(self.tenant_id).write(act)
            except Conflict as refusal:
                return refusal

        return list(await asyncio.gather(*(party(number, verb) for number, verb in enumerate(verbs))))

    async def whole(self, job_id: int) -> Job:
        """The job; what is in it agrees with its row, and each entry of its log begins where the one before ended."""

        def read(unit: TenantUnit) -> Job:
            job = jobs.get(unit, job_id)
            log = job_log.numbered(unit, [job_id], 0, 1000)
            kept = records.numbered(unit, [job_id], 0, 1000)
            assert [entry.number for entry in log] == list(range(1, job.events + 1))
            assert [record.number for record in kept] == list(range(1, job.records + 1))
            assert [c.number for c in job_steps.of_jobs(unit, [job_id])] == list(range(1, job.done + 1))
            shown: dict[str, Any] = {"status": "UNASSIGNED", "assignedUserIds": [], "name": "Valve check"}
            for entry in log:
                for name, change in json.loads(entry.detail).items():
                    assert shown.get(name) == change["before"], (name, entry)
                    shown[name] = change["after"]
            assert (job.status, job.name) == (shown["status"], shown["name"])
            assert [a.user_id for a in assignments.of_jobs(unit, [job_id])] == shown["assignedUserIds"]
            return job

        found: Job = await self.stores[0].of(self.tenant_id).read(read)
        return found


@pytest.fixture(scope="module")
async def other(store: Store, database_url: str) -> AsyncIterator[Store]:
    """The same store, as another process has it open."""
    opened = open_store(database_url, 8)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def shop(store: Store, other: Store, pair: Pair) -> Shop:
    workers = await store.of(pair[0]).write(lambda unit: [work.user(unit) for _ in range(2)])
    return Shop((store, other), pair[0], *(Actor(worker, 5) for worker in workers))


def does(verb: Callable[..., Any], *given: Any, **named: Any) -> Verb:
    """The verb as a unit of work."""
    return lambda unit: verb(unit, *given, **named)


def conflicts(outcomes: list[Any]) -> list[int]:
    """Which of them came second."""
    return [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Conflict)]


async def test_a_step_is_completed_once(shop: Shop) -> None:
    for _ in range(ROUNDS):
        job = await shop.job(started=True)
        outcomes = await shop.at_once(*(does(job_steps.complete, by, job.id, 1) for by in (shop.one, shop.two)))
        assert len(conflicts(outcomes)) == 1
        assert (await shop.whole(job.id)).done == 1


async def test_all_that_is_recorded_at_once_is_kept(shop: Shop) -> None:
    for many in (2, 2, 2, 6):
        job = await shop.job(started=True)
        outcomes = await shop.at_once(
            *(does(records.add, shop.one, job.id, 1, value_of(value=float(n))) for n in range(many))
        )
        assert conflicts(outcomes) == []
        assert sorted(record.number for record in outcomes) == list(range(1, many + 1))
        assert (await shop.whole(job.id)).records == many


async def test_nothing_is_recorded_for_a_step_once_it_is_completed(shop: Shop) -> None:
    for _ in range(ROUNDS):
        job = await shop.job(started=True, steps=1)
        await shop.write(does(records.add, shop.one, job.id, 2, VALUE))
        recorded, completed = await shop.at_once(
            does(records.add, shop.one, job.id, 2, VALUE),
            does(job_steps.complete, shop.two, job.id, 2),
        )
        after = await shop.whole(job.id)
        assert isinstance(completed, Job)
        assert (after.done, after.records) == (2, 2 if isinstance(recorded, Conflict) else 3)


async def test_a_job_is_started_by_one(shop: Shop) -> None:
    for _ in range(ROUNDS):
        job = await shop.job()
        outcomes = await shop.at_once(*(does(job_moves.start, by, job.id) for by in (shop.one, shop.two)))
        [loser] = conflicts(outcomes)
        after = await shop.whole(job.id)
        assert after.status == "IN_PROGRESS"
        assert await shop.write(does(assignments.of_jobs, [job.id])) == [
            (job.id, (shop.two if loser == 0 else shop.one).user_id)
        ]


async def test_starting_and_canceling(shop: Shop) -> None:
    for _ in range(ROUNDS):
        job = await shop.job()
        outcomes = await shop.at_once(
            does(job_moves.start, shop.one, job.id),
            does(job_moves.cancel, shop.two, job.id),
        )
        assert conflicts(outcomes) in ([], [0])
        after = await shop.whole(job.id)
        assert after.status == "CANCELED"
        assert (after.started_at is None) == bool(conflicts(outcomes))


async def test_completing_or_canceling(shop: Shop) -> None:
    for _ in range(ROUNDS):
        job = await shop.job(steps=3)
        outcomes = await shop.at_once(
            does(job_moves.complete, shop.one, job.id),
            does(job_moves.cancel, shop.two, job.id),
        )
        [loser] = conflicts(outcomes)
        after = await shop.whole(job.id)
        assert after.status == ("CANCELED", "COMPLETED")[loser]
        assert (after.completed_at is None, after.canceled_at is None) == (loser == 0, loser == 1)


async def test_a_user_is_assigned_once_and_taken_off_once(shop: Shop) -> None:
    user = shop.two.user_id
    for _ in range(ROUNDS):
        job = await shop.job()
        for verb, status in ((assignments.assign, "ASSIGNED"), (assignments.unassign, "UNASSIGNED")):
            outcomes = await shop.at_once(*(does(verb, by, job.id, user) for by in (shop.one, shop.two)))
            assert len(conflicts(outcomes)) == 1
            assert (await shop.whole(job.id)).status == status


async def test_one_is_assigned_while_the_other_is_taken_off(shop: Shop) -> None:
    for _ in range(ROUNDS):
        job = await shop.job(assigned=True)
        outcomes = await shop.at_once(
            does(assignments.assign, shop.one, job.id, shop.two.user_id),
            does(assignments.unassign, shop.two, job.id, shop.one.user_id),
        )
        assert conflicts(outcomes) == []
        assert (await shop.whole(job.id)).status == "ASSIGNED"
        assert await shop.write(does(assignments.of_jobs, [job.id])) == [(job.id, shop.two.user_id)]


async def test_starting_while_the_last_user_is_taken_off(shop: Shop) -> None:
    for _ in range(ROUNDS):
        job = await shop.job(assigned=True)
        outcomes = await shop.at_once(
            does(job_moves.start, shop.two, job.id),
            does(assignments.unassign, shop.two, job.id, shop.one.user_id),
        )
        assert conflicts(outcomes) == []
        assert (await shop.whole(job.id)).status == "IN_PROGRESS"


async def test_changes_at_once_are_both_in_the_log(shop: Shop) -> None:
    for _ in range(ROUNDS):
        job = await shop.job()
        outcomes = await shop.at_once(
            does(job_moves.change, shop.one, job.id, name="Left"),
            does(job_moves.change, shop.two, job.id, name="Right"),
        )
        assert conflicts(outcomes) == []
        after = await shop.whole(job.id)
        assert after.events == 3
        assert after.name in ("Left", "Right")


def archive(unit: TenantUnit, by: Actor, template_id: int) -> None:
    editorial.archive(unit, by, templates.get(unit, template_id))


def publish(unit: TenantUnit, by: Actor, template_id: int) -> Version:
    return editorial.publish(unit, by, editorial.see_latest(unit, template_id))


async def test_no_template_is_archived_while_a_job_is_made_of_it(shop: Shop) -> None:
    """Whoever reads that it is archived has seen its last job."""
    template = await shop.write(does(work.published, shop.one))
    one, two = (store.of(shop.tenant_id) for store in shop.stores)
    begun = asyncio.Event()

    async def archive_meanwhile() -> None:
        await begun.wait()
        await two.write(does(archive, shop.two, template.id))

    archiving = asyncio.create_task(archive_meanwhile())

    def make(unit: TenantUnit) -> Job:
        made = job_moves.add(unit, shop.one, template_id=template.id)
        if shop.stores[0].remembers:  # SQLite has one writer at a time
            begun.set()
            done, _ = await_only(asyncio.wait({archiving}, timeout=0.3))
            assert not done, "it waits until the job is there"
        return made

    await one.write(make)
    begun.set()
    await archiving
    with pytest.raises(Conflict, match="archived"):
        await shop.write(does(job_moves.add, shop.one, template_id=template.id))


async def test_a_job_is_made_of_one_version_while_the_next_is_published(shop: Shop) -> None:
    def prepare(unit: TenantUnit) -> int:
        template = work.published(unit, shop.one)
        editorial.add_version(unit, shop.one, editorial.see_latest(unit, template.id))
        for move in (editorial.submit, editorial.approve):
            move(unit, shop.one, editorial.see_latest(unit, template.id))
        return template.id

    for _ in range(ROUNDS):
        template_id = await shop.write(prepare)
        made, published = await shop.at_once(
            does(job_moves.add, shop.one, template_id=template_id), does(publish, shop.two, template_id)
        )
        assert isinstance(made, Job)
        assert published.number == 2
        version = await shop.write(does(versions.get, made.version_id))
        assert version.number == made.version


async def test_what_was_judged_by_an_older_state_is_not_written(shop: Shop) -> None:
    """The row's own condition, beside the lock: a verb that had read the job without it would change nothing."""
    job = await shop.job(started=True)
    await shop.write(does(records.add, shop.one, job.id, 1, VALUE))
    with pytest.raises(Conflict):
        await shop.write(does(jobs.save, shop.two, job, job._replace(name="Another")))
    after = await shop.whole(job.id)
    assert after.name == job.name
