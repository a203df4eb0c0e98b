"""Jobs are created from a template while it's being archived, or while its next version is being published."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.util.concurrency import await_only

from manifest_auth.errors import Conflict
from manifest_auth.store import TenantUnit
from manifest_auth.work import Actor, job_operations, template_operations, templates, versions
from manifest_auth.work.jobs import Job
from manifest_auth.work.versions import Version
from tests.support.stores import on_postgres
from tests.work import work_items
from tests.work.work_race import WorkRace, does

ROUNDS = 5


def archive(unit: TenantUnit, by: Actor, template_id: int) -> None:
    template_operations.archive(unit, by, templates.get(unit, template_id))


def publish(unit: TenantUnit, by: Actor, template_id: int) -> Version:
    return template_operations.publish(unit, by, template_operations.read_latest(unit, template_id))


async def test_no_template_is_archived_while_a_job_is_made_of_it(race: WorkRace) -> None:
    """A reader that sees the template archived has seen its last job."""
    template = await race.write(does(work_items.published, race.one))
    one, two = (store.of(race.tenant_id) for store in race.stores)
    begun = asyncio.Event()

    async def archive_meanwhile() -> None:
        await begun.wait()
        await two.write(does(archive, race.two, template.id))

    archiving = asyncio.create_task(archive_meanwhile())

    def make(unit: TenantUnit) -> Job:
        made = job_operations.add(unit, race.one, template_id=template.id)
        if on_postgres(race.stores[0]):  # SQLite has one writer at a time
            begun.set()
            done, _ = await_only(asyncio.wait({archiving}, timeout=0.3))
            assert not done, "it waits until the job is there"
        return made

    await one.write(make)
    begun.set()
    await archiving
    with pytest.raises(Conflict, match="archived"):
        await race.write(does(job_operations.add, race.one, template_id=template.id))


async def test_a_job_is_made_of_one_version_while_the_next_is_published(race: WorkRace) -> None:
    def prepare(unit: TenantUnit) -> int:
        template = work_items.published(unit, race.one)
        template_operations.add_version(unit, race.one, template_operations.read_latest(unit, template.id))
        for move in (template_operations.submit, template_operations.approve):
            move(unit, race.one, template_operations.read_latest(unit, template.id))
        return template.id

    for _ in range(ROUNDS):
        template_id = await race.write(prepare)
        made, published = await race.at_once(
            does(job_operations.add, race.one, template_id=template_id), does(publish, race.two, template_id)
        )
        assert isinstance(made, Job)
        assert published.number == 2
        version = await race.write(does(versions.get, made.version_id))
        assert version.number == made.version
