"""Two users change one job at the same time, from two processes, with the same result as one after the other."""

from __future__ import annotations

import pytest

from manifest_auth.errors import Conflict
from manifest_auth.work import job_operations, jobs, records
from manifest_auth.work.job_rules import value_of
from manifest_auth.work.jobs import Job
from tests.work.work_race import VALUE, WorkRace, conflicts, does

ROUNDS = 5


async def test_a_step_is_completed_once(race: WorkRace) -> None:
    for _ in range(ROUNDS):
        job = await race.job(started=True)
        outcomes = await race.at_once(*(does(records.complete_step, by, job.id, 1) for by in (race.one, race.two)))
        assert len(conflicts(outcomes)) == 1
        assert (await race.whole(job.id)).done == 1


async def test_all_that_is_recorded_immediately_is_kept(race: WorkRace) -> None:
    for many in (2, 2, 2, 6):
        job = await race.job(started=True)
        outcomes = await race.at_once(
            *(does(records.add, race.one, job.id, 1, value_of(value=float(n))) for n in range(many))
        )
        assert conflicts(outcomes) == []
        assert sorted(record.number for record in outcomes) == list(range(1, many + 1))
        assert (await race.whole(job.id)).records == many


async def test_nothing_is_recorded_for_a_step_once_it_is_completed(race: WorkRace) -> None:
    for _ in range(ROUNDS):
        job = await race.job(started=True, steps=1)
        await race.write(does(records.add, race.one, job.id, 2, VALUE))
        recorded, completed = await race.at_once(
            does(records.add, race.one, job.id, 2, VALUE),
            does(records.complete_step, race.two, job.id, 2),
        )
        after = await race.whole(job.id)
        assert isinstance(completed, Job)
        assert (after.done, after.records) == (2, 2 if isinstance(recorded, Conflict) else 3)


async def test_a_job_is_started_by_one(race: WorkRace) -> None:
    for _ in range(ROUNDS):
        job = await race.job()
        outcomes = await race.at_once(*(does(job_operations.start, by, job.id) for by in (race.one, race.two)))
        [loser] = conflicts(outcomes)
        after = await race.whole(job.id)
        assert after.status == "IN_PROGRESS"
        assert await race.write(does(job_operations.assignments_of, [job.id])) == [
            (job.id, (race.two if loser == 0 else race.one).user_id)
        ]


async def test_starting_and_canceling(race: WorkRace) -> None:
    for _ in range(ROUNDS):
        job = await race.job()
        outcomes = await race.at_once(
            does(job_operations.start, race.one, job.id),
            does(job_operations.cancel, race.two, job.id),
        )
        assert conflicts(outcomes) in ([], [0])
        after = await race.whole(job.id)
        assert after.status == "CANCELED"
        assert (after.started_at is None) == bool(conflicts(outcomes))


async def test_completing_or_canceling(race: WorkRace) -> None:
    for _ in range(ROUNDS):
        job = await race.job(steps=3)
        outcomes = await race.at_once(
            does(job_operations.complete, race.one, job.id),
            does(job_operations.cancel, race.two, job.id),
        )
        [loser] = conflicts(outcomes)
        after = await race.whole(job.id)
        assert after.status == ("CANCELED", "COMPLETED")[loser]
        assert (after.completed_at is None, after.canceled_at is None) == (loser == 0, loser == 1)


async def test_a_user_is_assigned_once_and_taken_off_once(race: WorkRace) -> None:
    user = race.two.user_id
    for _ in range(ROUNDS):
        job = await race.job()
        for operation, status in ((job_operations.assign, "ASSIGNED"), (job_operations.unassign, "UNASSIGNED")):
            outcomes = await race.at_once(*(does(operation, by, job.id, user) for by in (race.one, race.two)))
            assert len(conflicts(outcomes)) == 1
            assert (await race.whole(job.id)).status == status


async def test_one_is_assigned_while_the_other_is_taken_off(race: WorkRace) -> None:
    for _ in range(ROUNDS):
        job = await race.job(assigned=True)
        outcomes = await race.at_once(
            does(job_operations.assign, race.one, job.id, race.two.user_id),
            does(job_operations.unassign, race.two, job.id, race.one.user_id),
        )
        assert conflicts(outcomes) == []
        assert (await race.whole(job.id)).status == "ASSIGNED"
        assert await race.write(does(job_operations.assignments_of, [job.id])) == [(job.id, race.two.user_id)]


async def test_starting_while_the_last_user_is_taken_off(race: WorkRace) -> None:
    for _ in range(ROUNDS):
        job = await race.job(assigned=True)
        outcomes = await race.at_once(
            does(job_operations.start, race.two, job.id),
            does(job_operations.unassign, race.two, job.id, race.one.user_id),
        )
        assert conflicts(outcomes) == []
        assert (await race.whole(job.id)).status == "IN_PROGRESS"


async def test_changes_at_the_same_time_are_both_in_the_log(race: WorkRace) -> None:
    for _ in range(ROUNDS):
        job = await race.job()
        outcomes = await race.at_once(
            does(job_operations.change, race.one, job.id, name="Left"),
            does(job_operations.change, race.two, job.id, name="Right"),
        )
        assert conflicts(outcomes) == []
        after = await race.whole(job.id)
        assert after.events == 3
        assert after.name in ("Left", "Right")


async def test_what_was_judged_by_an_older_state_is_not_written(race: WorkRace) -> None:
    """This is the row's own condition, besides the lock: an operation that read the job without the lock changes
    nothing."""
    job = await race.job(started=True)
    await race.write(does(records.add, race.one, job.id, 1, VALUE))
    with pytest.raises(Conflict):
        await race.write(does(jobs.save, race.two, job, job._replace(name="Another")))
    after = await race.whole(job.id)
    assert after.name == job.name
