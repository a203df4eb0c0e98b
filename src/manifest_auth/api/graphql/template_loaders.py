"""Batch loaders of templates, versions, steps and history."""

from __future__ import annotations

from collections.abc import Sequence

from manifest_auth.api.graphql.batch_loading import Loader, Part, parts
from manifest_auth.store import TenantUnit
from manifest_auth.work import templates, versions
from manifest_auth.work.templates import Template
from manifest_auth.work.versions import Step, Version


def _read_steps(unit: TenantUnit, version_ids: Sequence[int]) -> dict[int, list[Step]]:
    found: dict[int, list[Step]] = {}
    for step in versions.steps_of(unit, version_ids):
        found.setdefault(step.version_id, []).append(step)
    return found


def _by_template(rows: list[Version]) -> dict[int, Version]:
    return {row.template_id: row for row in rows}


#: Templates and versions by id; the latest, and the published, version by template; steps by version.
TEMPLATES: Loader[int, Template] = Loader(lambda unit, ids: {row.id: row for row in templates.get_many(unit, ids)})
VERSIONS: Loader[int, Version] = Loader(lambda unit, ids: {row.id: row for row in versions.get_many(unit, ids)})
LATEST: Loader[int, Version] = Loader(lambda unit, ids: _by_template(versions.latest_of(unit, ids)))
PUBLISHED: Loader[int, Version] = Loader(lambda unit, ids: _by_template(versions.published_of(unit, ids)))
STEPS: Loader[int, list[Step]] = Loader(_read_steps, missing=())
NUMBERED: Loader[Part, list[Version]] = Loader(parts(versions.numbered, lambda row: row.template_id), missing=())
HISTORY: Loader[Part, list[templates.Event]] = Loader(
    parts(templates.numbered_log, lambda row: row.template_id), missing=()
)
