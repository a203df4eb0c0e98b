"""Random sequences of template operations on a real database are compared with a model in plain Python.

Users act on what they have seen; if that is outdated, they are rejected.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from manifest_auth import tenants
from manifest_auth.errors import Conflict, NotFound, Refusal, ValidationError
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import TenantSettings
from manifest_auth.text import canonical
from manifest_auth.work import Actor, template_operations, templates, versions
from manifest_auth.work import versions as steps
from manifest_auth.work.template_operations import VersionSnapshot
from manifest_auth.work.versions import NewStep
from tests.work import work_items
from tests.work.sync_store import SyncStore

_numbers = itertools.count(1)
WHO = st.integers(0, 1)
COMMENTS = st.sampled_from(["", "Because", "Two\nlines"])
TEXTS = (
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=5)
    .filter(str.strip)
    .filter(lambda text: not canonical.misplaced_invisible(text))
)
STEPS = st.lists(st.builds(NewStep, TEXTS, TEXTS, st.booleans()), max_size=3)
TRANSITIONS = {
    "edit": {"DRAFT": "DRAFT"},
    "submit": {"DRAFT": "SUBMITTED"},
    "approve": {"SUBMITTED": "APPROVED"},
    "reject": {"SUBMITTED": "DRAFT", "APPROVED": "DRAFT"},
    "publish": {"APPROVED": "PUBLISHED"},
}
NAMES = {
    "edit": "EDITED", "submit": "SUBMITTED", "approve": "APPROVED", "reject": "REJECTED", "publish": "PUBLISHED",
}  # fmt: skip


@dataclass
class VersionModel:
    """The expected version."""

    created_by: int
    status: str = "DRAFT"
    revision: int = 1
    steps: list[NewStep] = field(default_factory=list)
    published_at: int | None = None


@dataclass
class Model:
    """The expected template. ``log`` entries have move, version, comment, user, and time."""

    id: int
    name: str
    description: str = ""
    archived_at: int | None = None
    versions: list[VersionModel] = field(default_factory=list)
    log: list[tuple[str, int | None, str, int, int]] = field(default_factory=list)


class View(NamedTuple):
    """A user's view of a template and one of its versions; ``at`` is the length of the log at that time."""

    model: Model
    seen: VersionSnapshot
    at: int

    @property
    def version(self) -> VersionModel:
        return self.model.versions[self.seen.version.number - 1]

    @property
    def is_fresh(self) -> bool:
        return self.at == len(self.model.log)

    @property
    def allows(self) -> bool:
        return self.is_fresh and self.model.archived_at is None


class Story(RuleBasedStateMachine):
    sync_store: ClassVar[SyncStore]
    found: Bundle[Model] = Bundle("templates")
    views: Bundle[View] = Bundle("views")

    @initialize(target=found, given=STEPS)
    def begin(self, given: list[NewStep]) -> Model:
        number = next(_numbers)
        create = self.sync_store.store.write(lambda unit: tenants.create(unit, f"t{number}x", "T", TenantSettings(), 1))
        self.tenant = self.sync_store.loop.run_until_complete(create).id
        self.people = self.sync_store.write(self.tenant, lambda unit: [work_items.user(unit) for _ in range(2)])
        self.now = 10
        self.models: list[Model] = []
        return self.make(0, "First", given)

    def act(
        self, who: int, expected: type[Refusal] | None, operation: Callable[..., Any], *given: Any, **named: Any
    ) -> Any:
        """Run an operation. ``expected`` is the error that must be raised without any change."""
        self.now += 1
        by = Actor(self.people[who], self.now)
        if expected is None:
            return self.sync_store.write(self.tenant, lambda unit: operation(unit, by, *given, **named))
        with pytest.raises(expected):
            self.sync_store.write(self.tenant, lambda unit: operation(unit, by, *given, **named))
        return None

    def logs(self, model: Model, who: int, move: str, version: int | None = None, comment: str = "") -> None:
        model.log.append((move, version, comment, self.people[who], self.now))

    def make(self, who: int, name: str, given: list[NewStep]) -> Model:
        made = self.act(who, None, template_operations.add, name, "About", given)
        model = Model(made.id, name, "About", versions=[VersionModel(self.people[who], steps=given)])
        self.logs(model, who, "CREATED", 1)
        self.models.append(model)
        return model

    def look_at(self, model: Model, number: int) -> View:
        def see(unit: TenantUnit) -> VersionSnapshot:
            [version] = versions.numbered(unit, [model.id], number - 1, 1)
            return template_operations.read_snapshot(unit, version.id)

        return View(model, self.sync_store.read(self.tenant, see), len(model.log))

    @precondition(lambda self: len(self.models) < 2)
    @rule(target=found, who=WHO, name=TEXTS, given=STEPS)
    def add(self, who: int, name: str, given: list[NewStep]) -> Model:
        return self.make(who, name, given)

    @rule(target=views, model=found, which=st.integers(0, 3))
    def look(self, model: Model, which: int) -> View:
        return self.look_at(model, len(model.versions) - which % len(model.versions))

    @rule(
        view=views,
        who=WHO,
        move=st.sampled_from(sorted(TRANSITIONS)),
        comment=COMMENTS,
        given=STEPS,
        stale=st.booleans(),
    )
    def move(self, view: View, who: int, move: str, comment: str, given: list[NewStep], stale: bool) -> None:
        """Move a version; if ``stale``, the caller names an outdated revision."""
        version = view.version
        to = TRANSITIONS[move].get(version.status) if view.allows else None
        fits = to is not None and not stale and not (move == "submit" and not version.steps)
        expected: type[Refusal] | None = None if fits else Conflict
        revision = view.seen.version.revision - stale
        if move == "edit":
            self.act(who, expected, template_operations.edit, view.seen, revision, given)
        elif move == "reject" and not comment:
            self.act(who, ValidationError, template_operations.reject, view.seen, comment, revision)
            return
        else:
            self.act(who, expected, getattr(template_operations, move), view.seen, comment, revision)
        if to is not None and fits:
            self.moved(view.model, version, move, to, who, "" if move == "edit" else comment, given)

    def moved(
        self, model: Model, version: VersionModel, move: str, to: str, who: int, comment: str, given: list[NewStep]
    ) -> None:
        number = model.versions.index(version) + 1
        self.logs(model, who, NAMES[move], number, comment)
        if move == "publish":
            version.published_at = self.now
            for before, other in enumerate(model.versions, 1):
                if other.status == "PUBLISHED":
                    other.status = "RETIRED"
                    self.logs(model, who, "RETIRED", before)
        if move == "edit":
            version.revision, version.steps = version.revision + 1, given
        version.status = to

    @rule(model=found, who=WHO, times=st.integers(1, 4))
    def go_on(self, model: Model, who: int, times: int) -> None:
        """Perform the operations that lead to the next published version, so that there are some."""
        for _ in range(times):
            view = self.look_at(model, len(model.versions))
            version = view.version
            if model.archived_at is not None:
                self.shelve(view, who, "restore", "")
            elif version.status in ("PUBLISHED", "RETIRED"):
                self.add_version(view, who)
            else:
                way = {"DRAFT": "submit" if version.steps else "edit", "SUBMITTED": "approve", "APPROVED": "publish"}
                self.move(view, who, way[version.status], "Go on", [NewStep("One")], False)

    @rule(view=views, who=WHO)
    def add_version(self, view: View, who: int) -> None:
        """Add a version from the latest one, since the operation accepts no other."""
        model = view.model
        if view.seen.version.number != view.seen.template.versions:
            return
        fits = view.allows and view.version.status in ("PUBLISHED", "RETIRED")
        self.act(who, None if fits else Conflict, template_operations.add_version, view.seen)
        if fits:
            model.versions.append(VersionModel(self.people[who], steps=view.version.steps))
            self.logs(model, who, "VERSION_ADDED", len(model.versions))

    @rule(view=views, who=WHO, name=st.none() | TEXTS, about=st.none() | st.just("About") | COMMENTS)
    def rename(self, view: View, who: int, name: str | None, about: str | None) -> None:
        model = view.model
        expected = None if view.allows else Conflict
        self.act(who, expected, template_operations.rename, view.seen.template, name=name, description=about)
        after = (model.name if name is None else name, model.description if about is None else about)
        if view.allows and after != (model.name, model.description):
            model.name, model.description = after
            self.logs(model, who, "CHANGED")

    @rule(view=views, who=WHO, act=st.sampled_from(["archive", "restore"]), comment=COMMENTS)
    def shelve(self, view: View, who: int, act: str, comment: str) -> None:
        model = view.model
        fits = view.is_fresh and (model.archived_at is None) == (act == "archive")
        self.act(who, None if fits else Conflict, getattr(template_operations, act), view.seen.template, comment)
        if fits:
            model.archived_at = self.now if act == "archive" else None
            self.logs(model, who, "ARCHIVED" if act == "archive" else "RESTORED", None, comment)

    @invariant()
    def the_store_holds_what_the_model_says(self) -> None:
        for model in getattr(self, "models", ()):
            self.sync_store.read(self.tenant, lambda unit, m=model: compare(unit, m))  # type: ignore[misc]


def compare(unit: TenantUnit, model: Model) -> None:
    row = templates.get(unit, model.id)
    assert (row.name, row.description, row.archived_at) == (model.name, model.description, model.archived_at)
    assert (row.versions, row.events) == (len(model.versions), len(model.log))
    assert (row.created_at, row.changed_at) == (model.log[0][4], model.log[-1][4])
    log = templates.numbered_log(unit, [model.id], 0, 1000)
    assert [entry.number for entry in log] == list(range(1, len(log) + 1))
    assert [(e.move, e.version, e.comment, e.by, e.at) for e in log] == model.log
    kept = versions.numbered(unit, [model.id], 0, 1000)
    assert [v.number for v in kept] == list(range(1, len(kept) + 1))
    for version, expected in zip(kept, model.versions, strict=True):
        shown = (version.created_by, version.status, version.revision, version.published_at)
        assert shown == (expected.created_by, expected.status, expected.revision, expected.published_at)
        written = [
            NewStep(s.title, s.instructions, bool(s.requires_evidence)) for s in steps.steps_of(unit, [version.id])
        ]
        assert written == expected.steps
    published = [v.id for v in kept if v.status == "PUBLISHED"]
    assert [v.id for v in versions.published_of(unit, [model.id])] == published
    assert row.published == next((v.number for v in kept if v.id in published), None)
    assert [v.id for v in versions.latest_of(unit, [model.id])] == [kept[-1].id]


@pytest.mark.parametrize(
    "examples", [pytest.param(20, id="few"), pytest.param(60, id="many", marks=pytest.mark.endurance)]
)
def test_the_store_goes_as_the_model(sync_store: SyncStore, examples: int) -> None:
    class Here(Story):
        pass

    Here.sync_store = sync_store
    every = list(HealthCheck)
    run(
        Here,
        settings=settings(max_examples=examples, stateful_step_count=40, suppress_health_check=every),
    )


def test_what_is_not_there_is_not_seen(sync_store: SyncStore) -> None:
    create = sync_store.store.write(lambda unit: tenants.create(unit, "nobody-x", "T", TenantSettings(), 1))
    tenant = sync_store.loop.run_until_complete(create).id
    for see in (template_operations.read_snapshot, template_operations.read_latest):
        with pytest.raises(NotFound):
            sync_store.read(tenant, lambda unit, s=see: s(unit, 1))  # type: ignore[misc]
