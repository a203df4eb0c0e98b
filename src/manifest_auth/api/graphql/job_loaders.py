"""Batch loaders of jobs' assignments, steps, records, files and history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from manifest_auth.api.graphql.batch_loading import Loader, Part, parts
from manifest_auth.store import TenantUnit
from manifest_auth.work import assignments, files, jobs, records
from manifest_auth.work.files import File
from manifest_auth.work.jobs import Job
from manifest_auth.work.records import Record
from manifest_auth.work.versions import Step


class JobStep(NamedTuple):
    """A step of a job: the step of the job's version, and its completion, if any."""

    job: Job
    step: Step
    completion: records.Completion | None


def _read_assigned(unit: TenantUnit, job_ids: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for one in assignments.of_jobs(unit, job_ids):
        found.setdefault(one.job_id, []).append(one.user_id)
    return found


def _read_completions(unit: TenantUnit, job_ids: Sequence[int]) -> dict[int, dict[int, records.Completion]]:
    found: dict[int, dict[int, records.Completion]] = {}
    for one in records.steps_of_jobs(unit, job_ids):
        found.setdefault(one.job_id, {})[one.number] = one
    return found


#: A job's id and a step's number.
StepKey = tuple[int, int]


def _read_of_steps(unit: TenantUnit, keys: Sequence[StepKey]) -> dict[StepKey, list[Record]]:
    found: dict[StepKey, list[Record]] = {}
    for row in records.of_steps(unit, keys):
        found.setdefault((row.job_id, row.step), []).append(row)
    return found


#: By job: ids of the assigned users, and completed steps by number. By step: its records. Files by id.
ASSIGNED: Loader[int, list[int]] = Loader(_read_assigned, missing=())
COMPLETIONS: Loader[int, dict[int, records.Completion]] = Loader(_read_completions, missing={})
STEP_RECORDS: Loader[StepKey, list[Record]] = Loader(_read_of_steps, missing=())
RECORDS: Loader[Part, list[Record]] = Loader(parts(records.numbered, lambda row: row.job_id), missing=())
JOB_HISTORY: Loader[Part, list[jobs.Event]] = Loader(parts(jobs.numbered_log, lambda row: row.job_id), missing=())
FILES: Loader[int, File] = Loader(lambda unit, ids: {row.id: row for row in files.get_many(unit, ids)})
