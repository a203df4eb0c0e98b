"""Templates, versions, steps and log entries in the wire's form, and the loaders that read them for whole lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from manifest_auth.api.graphql.batch_loading import Loader, Part, parts
from manifest_auth.store import TenantUnit
from manifest_auth.work import steps, template_log, templates, versions


class TemplateView(NamedTuple):
    """A template with the wire's names. Plain members, so that leaf fields need no resolver."""

    id: int
    name: str
    description: str
    isArchived: bool  # noqa: N815 - the wire's name
    createdAt: int  # noqa: N815
    changedAt: int  # noqa: N815
    created_by: int


class VersionView(NamedTuple):
    """A version with the wire's names."""

    id: int
    number: int
    status: str
    revision: int
    createdAt: int  # noqa: N815
    publishedAt: int | None  # noqa: N815
    template_id: int
    created_by: int


class StepView(NamedTuple):
    """A step with the wire's names."""

    number: int
    title: str
    instructions: str
    requiresEvidence: bool  # noqa: N815


class EventView(NamedTuple):
    """An entry of the log with the wire's names."""

    number: int
    move: str
    version: int | None
    comment: str
    at: int
    user_id: int


def template_view(row: templates.Template) -> TemplateView:
    """The wire's form of a template."""
    archived = row.archived_at is not None
    return TemplateView(row.id, row.name, row.description, archived, row.created_at, row.changed_at, row.created_by)


def version_view(row: versions.Version) -> VersionView:
    """The wire's form of a version."""
    return VersionView(
        row.id,
        row.number,
        row.status,
        row.revision,
        row.created_at,
        row.published_at,
        row.template_id,
        row.created_by,
    )


def step_view(row: steps.Step) -> StepView:
    """The wire's form of a step."""
    return StepView(row.number, row.title, row.instructions, bool(row.requires_evidence))


def event_view(row: template_log.Event) -> EventView:
    """The wire's form of an entry."""
    return EventView(row.number, row.move, row.version, row.comment, row.at, row.by)


def _read_steps(unit: TenantUnit, version_ids: Sequence[int]) -> dict[int, list[StepView]]:
    found: dict[int, list[StepView]] = {}
    for step in steps.of_versions(unit, version_ids):
        found.setdefault(step.version_id, []).append(step_view(step))
    return found


def _by_template(rows: list[versions.Version]) -> dict[int, VersionView]:
    return {row.template_id: version_view(row) for row in rows}


#: Templates and versions by id; the latest, and the published, version by template; steps by version.
TEMPLATES: Loader[int, TemplateView] = Loader(
    lambda unit, ids: {row.id: template_view(row) for row in templates.get_many(unit, ids)}
)
VERSIONS: Loader[int, VersionView] = Loader(
    lambda unit, ids: {row.id: version_view(row) for row in versions.get_many(unit, ids)}
)
LATEST: Loader[int, VersionView] = Loader(lambda unit, ids: _by_template(versions.latest_of(unit, ids)))
PUBLISHED: Loader[int, VersionView] = Loader(lambda unit, ids: _by_template(versions.published_of(unit, ids)))
STEPS: Loader[int, list[StepView]] = Loader(_read_steps, missing=())
NUMBERED: Loader[Part, list[VersionView]] = Loader(
    parts(versions.numbered, lambda row: row.template_id, version_view), missing=()
)
HISTORY: Loader[Part, list[EventView]] = Loader(
    parts(template_log.numbered, lambda row: row.template_id, event_view), missing=()
)
