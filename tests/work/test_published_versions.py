"""A published version never changes, neither by an operation nor by a statement that bypasses the operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from manifest_auth.errors import Conflict
from manifest_auth.store import Store, TenantUnit, rows
from manifest_auth.work import Actor, template_operations, templates, versions
from manifest_auth.work.template_operations import VersionSnapshot
from manifest_auth.work.templates import VersionStatus
from manifest_auth.work.versions import NewStep
from tests.store.conftest import Pair
from tests.support.matrix import matrix
from tests.work import work_items

Everything = tuple[VersionSnapshot, list[versions.Step], list[versions.Version], list[templates.Event]]


def everything(unit: TenantUnit, version_id: int) -> Everything:
    """The complete version, including its template."""
    seen = template_operations.read_snapshot(unit, version_id)
    ids = [seen.template.id]
    return (
        seen,
        versions.steps_of(unit, [version_id]),
        versions.numbered(unit, ids, 0, 100),
        templates.numbered_log(unit, ids, 0, 100),
    )


async def version_at(store: Store, pair: Pair, state: str) -> VersionSnapshot:
    """A published version, or a retired one."""

    def make(unit: TenantUnit) -> VersionSnapshot:
        by = Actor(work_items.user(unit), 5)
        template = work_items.published(unit, by)
        seen = template_operations.read_latest(unit, template.id)
        if state == "retired":
            work_items.next_version(unit, by, template.id)
        return template_operations.read_snapshot(unit, seen.version.id)

    return await store.of(pair[0]).write(make)


STATUSES = ["DRAFT", "SUBMITTED", "APPROVED"]
#: Changes that the operations reject, with the current version.
OPERATIONS: dict[str, Callable[[TenantUnit, Actor, VersionSnapshot], Any]] = {
    "edit": lambda unit, by, seen: template_operations.edit(unit, by, seen, seen.version.revision, [NewStep("New")]),
    "submit": lambda unit, by, seen: template_operations.submit(unit, by, seen),
    "approve": lambda unit, by, seen: template_operations.approve(unit, by, seen),
    "reject": lambda unit, by, seen: template_operations.reject(unit, by, seen, "No"),
    "publish": lambda unit, by, seen: template_operations.publish(unit, by, seen),
}
#: Changes that the statements reject, even if the caller believes that the version is a draft.
WRITES: dict[str, Callable[[TenantUnit, Actor, VersionSnapshot], Any]] = {
    "other steps": lambda unit, by, seen: versions.put_steps(unit, seen.version.id, [NewStep("New")]),
    "another status": lambda unit, by, seen: versions.change(
        unit, seen.version, seen.version._replace(status=VersionStatus.DRAFT)
    ),
    "another revision": lambda unit, by, seen: versions.change(unit, seen.version, seen.version._replace(revision=9)),
    "another time": lambda unit, by, seen: versions.change(unit, seen.version, seen.version._replace(published_at=9)),
    **{
        f"an edit of what is thought to be {status.lower()}": (
            lambda unit, by, seen, status=status: template_operations.edit(  # type: ignore[misc]
                unit, by, seen._replace(version=seen.version._replace(status="DRAFT")), 1, [NewStep(status)]
            )
        )
        for status in STATUSES
    },
}


@matrix("state", ["published", "retired"])
@matrix("act", [*OPERATIONS.values(), *WRITES.values()], ids=[*OPERATIONS, *WRITES])
async def test_nothing_changes_it(store: Store, pair: Pair, state: str, act: Callable[..., Any]) -> None:
    seen = await version_at(store, pair, state)
    assert seen.version.status == state.upper()
    tenant = store.of(pair[0])
    before = await tenant.read(lambda unit: everything(unit, seen.version.id))
    with pytest.raises(Conflict):
        await tenant.write(lambda unit: act(unit, Actor(seen.version.created_by, 9), seen))
    assert await tenant.read(lambda unit: everything(unit, seen.version.id)) == before


@matrix("state", ["published", "retired"])
async def test_the_statements_reach_no_row_of_it(store: Store, pair: Pair, state: str) -> None:
    seen = await version_at(store, pair, state)
    tenant = store.of(pair[0])
    before = await tenant.read(lambda unit: everything(unit, seen.version.id))
    for statement, values in (
        (versions._CLEAR, {}),
        (versions._PUT, {"steps": rows([(9, "New", "", 0)])}),
    ):
        done = await tenant.write(lambda unit, s=statement, v=values: unit.change(s, id=seen.version.id, **v))  # type: ignore[misc]
        assert done == 0
    new = {"new_status": "DRAFT", "new_revision": 9, "new_published_at": None}
    for status in (*STATUSES, state.upper()):
        held = {"of": seen.version.id, "seen_status": status, "seen_revision": seen.version.revision}
        assert await tenant.write(lambda unit, v=held: unit.change(versions._CHANGE, **v, **new)) == 0  # type: ignore[misc]
    assert await tenant.read(lambda unit: everything(unit, seen.version.id)) == before


async def test_the_next_version_begins_with_its_steps_and_leaves_them(store: Store, pair: Pair) -> None:
    published = await version_at(store, pair, "published")
    tenant, by = store.of(pair[0]), Actor(published.version.created_by, 9)
    before = await tenant.read(lambda unit: everything(unit, published.version.id))

    def go_on(unit: TenantUnit) -> versions.Version:
        draft = template_operations.add_version(unit, by, published)
        assert [s[1:] for s in versions.steps_of(unit, [draft.id])] == [s[1:] for s in before[1]]
        return template_operations.edit(
            unit, by, template_operations.read_snapshot(unit, draft.id), 1, [NewStep("Other")]
        )

    draft = await tenant.write(go_on)
    after = await tenant.read(lambda unit: everything(unit, published.version.id))
    assert (after[0].version, after[1]) == (before[0].version, before[1])
    assert [step.title for step in await tenant.read(lambda unit: versions.steps_of(unit, [draft.id]))] == ["Other"]
