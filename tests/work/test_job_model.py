"""Random sequences of job operations on a real database, compared with a model in plain Python."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.errors import Conflict, NotFound, Refusal, ValidationError
from manifest_auth.permissions import Role
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import TenantSettings
from manifest_auth.work import Actor, job_operations, jobs, records
from manifest_auth.work import records as job_steps
from manifest_auth.work.job_rules import Priority, value_of
from tests.work import work_items
from tests.work.sync_store import SyncStore

T = TypeVar("T")
_numbers = itertools.count(1)
STEPS = len(work_items.STEPS)
EVIDENCE = {number for number, step in enumerate(work_items.STEPS, 1) if step.requires_evidence}


@dataclass
class Model:
    """The expected job."""

    id: int
    name: str
    priority: str = "MEDIUM"
    status: str = "UNASSIGNED"
    assigned: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)  # the users who did the steps
    records: list[tuple[int, float | str, int]] = field(default_factory=list)
    log: list[tuple[str, int | None, int, dict[str, Any]]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.status in ("UNASSIGNED", "ASSIGNED", "IN_PROGRESS")

    def is_next(self, step: int) -> bool:
        return self.status == "IN_PROGRESS" and step == len(self.done) + 1 <= STEPS

    def logs(self, move: str, by: int, step: int | None = None, **changes: tuple[Any, Any]) -> None:
        detail = {name: {"before": old, "after": new} for name, (old, new) in changes.items() if old != new}
        self.log.append((move, step, by, detail))

    def becomes(self, status: str) -> tuple[str, str]:
        before, self.status = self.status, status
        return before, status

    def assign(self, user: int, by: int) -> None:
        before = list(self.assigned)
        self.assigned = sorted([*self.assigned, user])
        status = self.becomes("ASSIGNED" if self.status == "UNASSIGNED" else self.status)
        self.logs("ASSIGNED", by, status=status, assignedUserIds=(before, list(self.assigned)))

    def unassign(self, user: int, by: int) -> None:
        before = list(self.assigned)
        self.assigned.remove(user)
        lonely = self.status == "ASSIGNED" and not self.assigned
        status = self.becomes("UNASSIGNED" if lonely else self.status)
        self.logs("UNASSIGNED", by, status=status, assignedUserIds=(before, list(self.assigned)))


class Story(RuleBasedStateMachine):
    sync_store: ClassVar[SyncStore]
    found: Bundle[Model] = Bundle("jobs")
    WHO = st.integers(0, 2)

    @initialize()
    def begin(self) -> None:
        def fill(unit: TenantUnit) -> None:
            self.workers = [work_items.user(unit) for _ in range(3)]
            self.others = [work_items.user(unit, Role.VIEWER), work_items.user(unit)]
            users.deactivate(unit, users.get(unit, self.others[1]), 1)
            self.template = work_items.published(unit, Actor(self.workers[0], 1)).id

        number = next(_numbers)
        create = self.sync_store.store.write(lambda unit: tenants.create(unit, f"t{number}x", "T", TenantSettings(), 1))
        self.tenant = self.sync_store.loop.run_until_complete(create).id
        self.sync_store.write(self.tenant, fill)
        self.now = 10
        self.models: list[Model] = []

    def act(
        self, who: int, expected: type[Refusal] | None, operation: Callable[..., T], *given: Any, **named: Any
    ) -> T | None:
        """Run an operation as one of the workers. ``expected`` is the error that must be raised without any change."""
        self.now += 1
        by = Actor(self.workers[who], self.now)
        if expected is None:
            return self.sync_store.write(self.tenant, lambda unit: operation(unit, by, *given, **named))
        with pytest.raises(expected):
            self.sync_store.write(self.tenant, lambda unit: operation(unit, by, *given, **named))
        return None

    @precondition(lambda self: len(self.models) < 2)
    @rule(target=found, who=WHO, whom=st.lists(WHO, max_size=4), urgent=st.booleans())
    def add(self, who: int, whom: list[int], urgent: bool) -> Model:
        by, ids = self.workers[who], [self.workers[w] for w in whom]
        priority = Priority.HIGH if urgent else Priority.MEDIUM
        made = self.act(
            who, None, job_operations.add, template_id=self.template, assigned_user_ids=ids, priority=priority
        )
        assert made is not None
        model = Model(made.id, "Valve check", priority.name, log=[("CREATED", None, by, {})])
        for user in dict.fromkeys(ids):
            model.assign(user, by)
        self.models.append(model)
        return model

    @rule(target=found, who=WHO, whom=st.integers(0, 1), known=st.booleans())
    def add_for_no_one_who_can(self, who: int, whom: int, known: bool) -> Any:
        ids = [self.workers[0], self.others[whom] if known else 10**9]
        refusal = ValidationError if known else NotFound
        self.act(who, refusal, job_operations.add, template_id=self.template, assigned_user_ids=ids)
        return multiple()

    @rule(job=found, who=WHO, name=st.sampled_from(["Valve check", "Another"]), urgent=st.none() | st.booleans())
    def change(self, job: Model, who: int, name: str, urgent: bool | None) -> None:
        priority = None if urgent is None else Priority.HIGH if urgent else Priority.LOW
        self.act(who, None if job.is_open else Conflict, job_operations.change, job.id, name=name, priority=priority)
        after = (name, priority.name if priority else job.priority)
        if job.is_open and after != (job.name, job.priority):
            job.logs("CHANGED", self.workers[who], name=(job.name, after[0]), priority=(job.priority, after[1]))
            job.name, job.priority = after

    @rule(job=found, who=WHO, whom=WHO)
    def assign(self, job: Model, who: int, whom: int) -> None:
        user = self.workers[whom]
        fits = job.is_open and user not in job.assigned
        self.act(who, None if fits else Conflict, job_operations.assign, job.id, user)
        if fits:
            job.assign(user, self.workers[who])

    @rule(job=found, who=WHO, whom=st.integers(0, 1))
    def assign_no_one_who_can(self, job: Model, who: int, whom: int) -> None:
        self.act(who, ValidationError, job_operations.assign, job.id, self.others[whom])

    @rule(job=found, who=WHO, whom=WHO)
    def unassign(self, job: Model, who: int, whom: int) -> None:
        user = self.workers[whom]
        fits = job.is_open and user in job.assigned
        self.act(who, None if fits else Conflict, job_operations.unassign, job.id, user)
        if fits:
            job.unassign(user, self.workers[who])

    @rule(job=found, who=WHO)
    def start(self, job: Model, who: int) -> None:
        fits = job.status in ("UNASSIGNED", "ASSIGNED")
        self.act(who, None if fits else Conflict, job_operations.start, job.id)
        if fits:
            by = self.workers[who]
            if job.status == "UNASSIGNED":
                job.assign(by, by)
            job.logs("STARTED", by, status=job.becomes("IN_PROGRESS"))

    @rule(job=found, who=WHO, step=st.integers(0, STEPS + 1), value=st.floats(-9, 9) | st.sampled_from(["a", "b"]))
    def record(self, job: Model, who: int, step: int, value: float | str) -> None:
        given = value_of(text=value) if isinstance(value, str) else value_of(value=value)
        refusal = None if job.is_next(step) else Conflict if 1 <= step <= STEPS else NotFound
        self.act(who, refusal, records.add, job.id, step, given)
        if refusal is None:
            job.records.append((step, value, self.workers[who]))

    @rule(job=found, who=WHO, step=st.integers(0, STEPS + 1))
    def complete_step(self, job: Model, who: int, step: int) -> None:
        fits = job.is_next(step) and (step not in EVIDENCE or any(of == step for of, _, _ in job.records))
        refusal = None if fits else Conflict if 1 <= step <= STEPS else NotFound
        self.act(who, refusal, job_steps.complete_step, job.id, step)
        if refusal is None:
            job.done.append(self.workers[who])
            job.logs("STEP_COMPLETED", self.workers[who], step)

    @rule(job=found, who=WHO, times=st.integers(1, 4))
    def go_on(self, job: Model, who: int, times: int) -> None:
        """Perform the next necessary operations, so that jobs reach their end."""
        for _ in range(times):
            self.do_next(job, who)

    def do_next(self, job: Model, who: int) -> None:
        step = len(job.done) + 1
        if job.status in ("UNASSIGNED", "ASSIGNED"):
            self.start(job, who)
        elif step <= STEPS:
            self.record(job, who, step, "done")
            self.complete_step(job, who, step)
        else:
            self.complete(job, who)

    @rule(job=found, who=WHO)
    def complete(self, job: Model, who: int) -> None:
        fits = job.status == "IN_PROGRESS" and len(job.done) == STEPS
        self.act(who, None if fits else Conflict, job_operations.complete, job.id)
        if fits:
            job.logs("COMPLETED", self.workers[who], status=job.becomes("COMPLETED"))

    @rule(job=found, who=WHO, often=st.integers(0, 3))
    def cancel(self, job: Model, who: int, often: int) -> None:
        if often and job.is_open:  # otherwise, few jobs would live long enough
            return
        self.act(who, None if job.is_open else Conflict, job_operations.cancel, job.id)
        if job.is_open:
            job.logs("CANCELED", self.workers[who], status=job.becomes("CANCELED"))

    @invariant()
    def the_store_holds_what_the_model_says(self) -> None:
        for model in getattr(self, "models", ()):
            self.sync_store.read(self.tenant, lambda unit, m=model: compare(unit, m))  # type: ignore[misc]


def compare(unit: TenantUnit, model: Model) -> None:
    job = jobs.get(unit, model.id)
    assert (job.name, Priority(job.priority).name, job.status) == (model.name, model.priority, model.status)
    assert (job.done, job.records, job.events) == (len(model.done), len(model.records), len(model.log))
    assert [user for _, user in job_operations.assignments_of(unit, [job.id])] == model.assigned
    found = job_steps.steps_of_jobs(unit, [job.id])
    assert [(c.number, c.completed_by) for c in found] == list(enumerate(model.done, 1))
    kept = records.numbered(unit, [job.id], 0, 1000)
    values = [(r.step, r.value if r.text is None else r.text, r.recorded_by) for r in kept]
    assert values == model.records
    assert [r.number for r in kept] == list(range(1, len(kept) + 1))
    log = jobs.numbered_log(unit, [job.id], 0, 1000)
    assert [entry.number for entry in log] == list(range(1, len(log) + 1))
    assert [(e.move, e.step, e.by, json.loads(e.detail)) for e in log] == model.log
    times = (job.started_at, job.completed_at, job.canceled_at)
    moves = ("STARTED", "COMPLETED", "CANCELED")
    assert times == tuple(next((e.at for e in log if e.move == move), None) for move in moves)
    assert job.changed_at == max([*(e.at for e in log), *(r.recorded_at for r in kept)])


@pytest.mark.parametrize(
    "examples", [pytest.param(25, id="few"), pytest.param(80, id="many", marks=pytest.mark.endurance)]
)
def test_the_store_goes_as_the_model(sync_store: SyncStore, examples: int) -> None:
    class Here(Story):
        pass

    Here.sync_store = sync_store
    run_state_machine_as_test(
        Here,
        settings=settings(max_examples=examples, stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )
