"""Two users change one template at the same time, from two processes: one succeeds, the other gets CONFLICT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy.util.concurrency import await_only

from manifest_auth.errors import Conflict
from manifest_auth.store import Store, TenantUnit
from manifest_auth.work import Actor, template_operations, templates, versions
from manifest_auth.work.template_operations import VersionSnapshot
from manifest_auth.work.versions import NewStep
from tests.store.conftest import Pair
from tests.support.matrix import matrix
from tests.support.stores import on_postgres
from tests.work import work_items

ROUNDS = 3
Operation = Callable[[TenantUnit, Actor, VersionSnapshot], Any]
WAY = {
    "SUBMITTED": template_operations.submit,
    "APPROVED": template_operations.approve,
    "PUBLISHED": template_operations.publish,
}


class TemplateRace(NamedTuple):
    """A tenant with users who edit, seen from two processes."""

    stores: tuple[Store, Store]
    tenant_id: int
    people: tuple[int, ...]

    async def template(self, status: str) -> VersionSnapshot:
        """A new template with a version in this state."""

        def make(unit: TenantUnit) -> VersionSnapshot:
            by = Actor(self.people[0], 5)
            template = template_operations.add(unit, by, "Valve check", "", work_items.STEPS)
            for reached, move in WAY.items():
                if status == "DRAFT":
                    break
                move(unit, by, template_operations.read_latest(unit, template.id))
                if reached == status:
                    break
            return template_operations.read_latest(unit, template.id)

        return await self.stores[0].of(self.tenant_id).write(make)

    async def at_once(self, seen: VersionSnapshot, *operations: Operation) -> list[Any]:
        """The result of each operation, which can be a Conflict. All act on the same view. On PostgreSQL, all are in a
        transaction before the first one acts; SQLite has one writer at a time, so the others wait."""
        met = [asyncio.Event() for _ in operations]

        async def actor(number: int, operation: Operation) -> Any:
            store = self.stores[number % 2]
            by = Actor(self.people[number], 10 + number)

            def act(unit: TenantUnit) -> Any:
                templates.get(unit, seen.template.id)
                met[number].set()
                if on_postgres(store):
                    await_only(asyncio.wait_for(asyncio.gather(*(event.wait() for event in met)), 10))
                return operation(unit, by, seen)

            try:
                return await store.of(self.tenant_id).write(act)
            except Conflict as refusal:
                return refusal

        return list(await asyncio.gather(*(actor(number, operation) for number, operation in enumerate(operations))))

    async def check(self, before: VersionSnapshot, outcomes: list[Any]) -> tuple[int, VersionSnapshot]:
        """Check that one operation succeeded, and return it with the new state; only the winner has log entries."""
        [winner] = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, Conflict)]

        def read(unit: TenantUnit) -> VersionSnapshot:
            after = template_operations.read_snapshot(unit, before.version.id)
            log = templates.numbered_log(unit, [after.template.id], before.template.events, 100)
            assert {entry.by for entry in log} == {self.people[winner]}
            assert len(log) == after.template.events - before.template.events > 0
            assert after.template.changed_at == 10 + winner
            kept = versions.numbered(unit, [after.template.id], 0, 100)
            assert [v.number for v in kept] == list(range(1, after.template.versions + 1))
            assert [v.number for v in kept if v.status == "PUBLISHED"] == [
                number for number in (after.template.published,) if number
            ]
            return after

        return winner, await self.stores[0].of(self.tenant_id).read(read)


@pytest.fixture
async def race(store: Store, other: Store, pair: Pair) -> TemplateRace:
    people = await store.of(pair[0]).write(lambda unit: tuple(work_items.user(unit) for _ in range(6)))
    return TemplateRace((store, other), pair[0], people)


def edit(unit: TenantUnit, by: Actor, seen: VersionSnapshot) -> Any:
    return template_operations.edit(unit, by, seen, seen.version.revision, [NewStep(f"by {by.user_id}")])


def reject(unit: TenantUnit, by: Actor, seen: VersionSnapshot) -> Any:
    return template_operations.reject(unit, by, seen, "No")


def rename(unit: TenantUnit, by: Actor, seen: VersionSnapshot) -> Any:
    return template_operations.rename(unit, by, seen.template, name=f"by {by.user_id}")


def archive(unit: TenantUnit, by: Actor, seen: VersionSnapshot) -> Any:
    return template_operations.archive(unit, by, seen.template)


ALLOWED: dict[str, list[Operation]] = {
    "DRAFT": [edit, template_operations.submit, rename, archive],
    "SUBMITTED": [template_operations.approve, reject, archive],
    "APPROVED": [template_operations.publish, reject, rename],
    "PUBLISHED": [template_operations.add_version, archive],
}
MET = [(status, one, two) for status, operations in ALLOWED.items() for one in operations for two in operations]


@matrix(("status", "one", "two"), MET, ids=[f"{s}-{a.__name__}-{b.__name__}" for s, a, b in MET])
async def test_of_two_at_the_same_time_one_wins(
    race: TemplateRace, status: str, one: Operation, two: Operation
) -> None:
    for _ in range(ROUNDS):
        before = await race.template(status)
        outcomes = await race.at_once(before, one, two)
        await race.check(before, outcomes)


async def test_of_many_at_the_same_time_one_wins(race: TemplateRace) -> None:
    before = await race.template("SUBMITTED")
    outcomes = await race.at_once(before, *[template_operations.approve, reject] * 3)
    winner, after = await race.check(before, outcomes)
    assert after.version.status == ("DRAFT" if winner % 2 else "APPROVED")


async def test_the_steps_are_the_winners(race: TemplateRace) -> None:
    for _ in range(ROUNDS):
        before = await race.template("DRAFT")
        winner, after = await race.check(before, await race.at_once(before, *[edit] * 4))
        read = await race.stores[0].of(race.tenant_id).read(lambda unit: versions.steps_of(unit, [before.version.id]))  # noqa: B023
        assert [step.title for step in read] == [f"by {race.people[winner]}"]
        assert after.version.revision == 2


async def test_a_version_is_published_once_and_retires_one(race: TemplateRace) -> None:
    before = await race.template("PUBLISHED")

    def second(unit: TenantUnit) -> VersionSnapshot:
        by = Actor(race.people[0], 6)
        template_operations.add_version(unit, by, before)
        for move in (template_operations.submit, template_operations.approve):
            move(unit, by, template_operations.read_latest(unit, before.template.id))
        return template_operations.read_latest(unit, before.template.id)

    seen = await race.stores[0].of(race.tenant_id).write(second)
    _, after = await race.check(seen, await race.at_once(seen, *[template_operations.publish] * 3))
    assert (after.version.status, after.template.published) == ("PUBLISHED", 2)
    log = (
        await race.stores[0]
        .of(race.tenant_id)
        .read(lambda unit: templates.numbered_log(unit, [before.template.id], 0, 100))
    )
    assert [(e.move, e.version) for e in log][-2:] == [("PUBLISHED", 2), ("RETIRED", 1)]
