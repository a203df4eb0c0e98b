"""Clients with many templates and jobs, created by direct calls, because it would take minutes over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Any

from sqlalchemy import insert, select

from manifest_auth.store import TenantScoped, TenantUnit, cell, row_list, tenant_scoped
from manifest_auth.store import rows as list_of
from manifest_auth.store.tables import job_events, job_records
from manifest_auth.work import Actor, job_operations, jobs, records, template_operations
from manifest_auth.work.job_rules import value_of
from manifest_auth.work.templates import Template
from manifest_auth.work.versions import NewStep
from tests.support.jobs import a_file
from tests.support.team import Team
from tests.work import work_items


async def busy_people(team: Team, count: int) -> None:
    """This many people. Each of them created a template with two published versions, and a job of the first version, in
    which the next two people have done something."""
    file_id = await a_file(team)

    def begin(unit: TenantUnit) -> list[Actor]:
        return [Actor(work_items.user(unit), number) for number in range(1, count + 1)]

    people = await team.within(begin)

    def fill(unit: TenantUnit, number: int) -> None:
        by, other, third = (people[(number + place) % count] for place in range(3))
        template = work_items.published(unit, by, name=f"Check {number}")
        job = job_operations.add(unit, by, template_id=template.id, name=f"Job {number}")
        for user in (other, third):
            job_operations.assign(unit, by, job.id, user.user_id)
        job_operations.start(unit, other, job.id)
        records.add(unit, other, job.id, 1, value_of(text="closed"))
        records.complete_step(unit, third, job.id, 1)
        records.add(unit, third, job.id, 2, value_of(file_id=file_id))
        work_items.next_version(unit, other, template.id)

    for number in range(count):  # separate units of work, since one times out after eight seconds on PostgreSQL
        await team.within(partial(fill, number=number))


async def many_jobs(team: Team, count: int) -> None:
    """Jobs of three templates, each at its second step of three, with records, a file, and two users. The templates
    have a newer version by now."""
    operator, admin = await team.member("Operator"), await team.member("Admin")
    by = Actor(operator.id, team.app.clock.now_ms())
    file_id = await a_file(team)

    def make(unit: TenantUnit) -> None:
        templates = [work_items.published(unit, by, name=f"Check {number}") for number in range(3)]
        for number in range(count):
            job = job_operations.add(unit, by, template_id=templates[number % 3].id, name=f"Job {number:03d}")
            for user in (operator, admin):
                job_operations.assign(unit, by, job.id, user.id)
            job_operations.start(unit, by, job.id)
            records.add(unit, by, job.id, 1, value_of(text="closed"))
            records.complete_step(unit, by, job.id, 1)
            records.add(unit, Actor(admin.id, by.at), job.id, 2, value_of(file_id=file_id))
        for template in templates:
            work_items.next_version(unit, by, template.id)

    await team.within(make)


async def lengthen(team: Team, field: str, have: int, to: int = 100) -> None:
    """Extend the ``history`` or the ``records`` of the first 51 jobs to this many entries, all like their first one."""
    copy = _copies({"history": job_events, "records": job_records}[field])

    def work_of(unit: TenantUnit) -> None:
        for job in jobs.LISTING.page(unit, first=51, sort="ID"):
            unit.change(copy, copies=list_of((job.id, number) for number in range(have + 1, to + 1)))

    await team.within(work_of)


def _copies(table: Any) -> TenantScoped[Any]:
    """Insert rows like the first one of each job, with other IDs."""
    given_rows = row_list("copies")
    first = [c for c in table.c if c.name not in ("tenant_id", "number")]
    wanted = table.c.job_id == cell(given_rows, 0, table.c.job_id)
    number = cell(given_rows, 1, table.c.number)
    found = select(number, *first).where(wanted, table.c.number == 1)
    return tenant_scoped(insert(table).from_select(["number", *(c.name for c in first)], found))


async def many_records(team: Team, job_id: int, count: int) -> None:
    """Record this many values at a job's first step."""
    by = Actor((await team.member("Operator")).id, 1)

    def fill(unit: TenantUnit) -> None:
        for number in range(count):
            records.add(unit, by, job_id, 1, value_of(value=float(number)))

    await team.within(fill)


async def many_templates(team: Team, count: int, versions: int = 1) -> None:
    """Templates with ``versions`` versions of two steps, of which all but the latest have been published."""
    by = Actor((await team.member("Author")).id, team.app.clock.now_ms())
    steps = [NewStep("one", "Do"), NewStep("two", "Do more", True)]

    def publish(unit: TenantUnit, template: Template) -> None:
        for operation in (template_operations.submit, template_operations.approve, template_operations.publish):
            operation(unit, by, template_operations.read_latest(unit, template.id), "")

    def fill(unit: TenantUnit) -> None:
        for number in range(count):
            template = template_operations.add(unit, by, f"Template {number:03d}", "", steps)
            for _ in range(versions - 1):
                publish(unit, template)
                template_operations.add_version(unit, by, template_operations.read_latest(unit, template.id))

    await team.within(fill)


async def long_templates(team: Team, count: int, steps: int) -> None:
    """Templates with many steps."""
    by = Actor((await team.member("Author")).id, 1)
    many = [NewStep(f"Step {number}") for number in range(steps)]

    def fill(unit: TenantUnit) -> None:
        for _ in range(count):
            template_operations.add(unit, by, "Long", "", many)

    await team.within(fill)
