"""What GraphQL reads of templates and jobs for whole lists, each with one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from manifest_auth.api.graphql.batch_loading import Loader, Part, parts
from manifest_auth.store import TenantUnit
from manifest_auth.work import (
    assignments,
    files,
    job_log,
    job_steps,
    records,
    steps,
    template_log,
    templates,
    versions,
)
from manifest_auth.work.files import File
from manifest_auth.work.job_steps import Completion
from manifest_auth.work.records import Record
from manifest_auth.work.steps import Step
from manifest_auth.work.templates import Template
from manifest_auth.work.versions import Version

K = TypeVar("K")
R = TypeVar("R")
#: A job's id and a step's number.
StepKey = tuple[int, int]


class JobStep(NamedTuple):
    """A step of a job: that of the job's version, and whether it is completed."""

    job_id: int
    step: Step
    completion: Completion | None


def _by(key: Callable[[R], K], rows: Sequence[R]) -> dict[K, list[R]]:
    found: dict[K, list[R]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _read_assigned(unit: TenantUnit, job_ids: Sequence[int]) -> dict[int, list[int]]:
    rows = _by(lambda one: one.job_id, assignments.of_jobs(unit, job_ids))
    return {job_id: [one.user_id for one in those] for job_id, those in rows.items()}


def _read_completions(unit: TenantUnit, job_ids: Sequence[int]) -> dict[int, dict[int, Completion]]:
    rows = _by(lambda one: one.job_id, job_steps.of_jobs(unit, job_ids))
    return {job_id: {one.number: one for one in those} for job_id, those in rows.items()}


def _by_template(rows: list[Version]) -> dict[int, Version]:
    return {row.template_id: row for row in rows}


#: Templates, versions and files by id; the latest, and the published, version by template; steps by version.
TEMPLATES: Loader[int, Template] = Loader(lambda unit, ids: {row.id: row for row in templates.get_many(unit, ids)})
VERSIONS: Loader[int, Version] = Loader(lambda unit, ids: {row.id: row for row in versions.get_many(unit, ids)})
FILES: Loader[int, File] = Loader(lambda unit, ids: {row.id: row for row in files.get_many(unit, ids)})
LATEST: Loader[int, Version] = Loader(lambda unit, ids: _by_template(versions.latest_of(unit, ids)))
PUBLISHED: Loader[int, Version] = Loader(lambda unit, ids: _by_template(versions.published_of(unit, ids)))
STEPS: Loader[int, list[Step]] = Loader(
    lambda unit, ids: _by(lambda row: row.version_id, steps.of_versions(unit, ids)), missing=()
)
#: By job: ids of the users who are assigned, and the completed steps by number. By step: its records.
ASSIGNED: Loader[int, list[int]] = Loader(_read_assigned, missing=())
COMPLETIONS: Loader[int, dict[int, Completion]] = Loader(_read_completions, missing={})
STEP_RECORDS: Loader[StepKey, list[Record]] = Loader(
    lambda unit, keys: _by(lambda row: (row.job_id, row.step), records.of_steps(unit, keys)), missing=()
)
#: Lists that are numbered within their template or job, a part at a time.
NUMBERED: Loader[Part, list[Any]] = Loader(parts(versions.numbered, lambda row: row.template_id), missing=())
HISTORY: Loader[Part, list[Any]] = Loader(parts(template_log.numbered, lambda row: row.template_id), missing=())
RECORDS: Loader[Part, list[Any]] = Loader(parts(records.numbered, lambda row: row.job_id), missing=())
JOB_HISTORY: Loader[Part, list[Any]] = Loader(parts(job_log.numbered, lambda row: row.job_id), missing=())
