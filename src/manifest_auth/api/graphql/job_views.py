"""Jobs, their steps, records, files and log entries in the wire's form, and the loaders that read them for whole
lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from manifest_auth.api.graphql.batch_loading import Loader, Part, parts
from manifest_auth.api.graphql.template_views import StepView
from manifest_auth.store import TenantUnit
from manifest_auth.work import assignments, files, job_log, job_rules, job_steps, jobs, records


class JobView(NamedTuple):
    """A job with the wire's names. Plain members, so that leaf fields need no resolver."""

    id: int
    name: str
    assetId: str | None  # noqa: N815 - the wire's name
    priority: str
    status: str
    createdAt: int  # noqa: N815
    changedAt: int  # noqa: N815
    startedAt: int | None  # noqa: N815
    completedAt: int | None  # noqa: N815
    canceledAt: int | None  # noqa: N815
    template_id: int
    version_id: int
    version_number: int
    done: int
    created_by: int


class JobStepView(NamedTuple):
    """A step of a job with the wire's names."""

    number: int
    title: str
    instructions: str
    requiresEvidence: bool  # noqa: N815
    isCompleted: bool  # noqa: N815
    completedAt: int | None  # noqa: N815
    job_id: int
    completed_by: int | None


class RecordView(NamedTuple):
    """A record with the wire's names: the member of its kind is set."""

    number: int
    stepNumber: int  # noqa: N815
    kind: str
    text: str | None
    value: float | None
    unit: str | None
    choice: str | None
    boolean: bool | None
    recordedAt: int  # noqa: N815
    file_id: int | None
    recorded_by: int


class FileView(NamedTuple):
    """A file with the wire's names."""

    id: int
    name: str
    mediaType: str  # noqa: N815
    size: int
    sha256: str
    url: str
    uploadedAt: int  # noqa: N815
    uploaded_by: int


class JobEventView(NamedTuple):
    """An entry of the log with the wire's names."""

    number: int
    move: str
    stepNumber: int | None  # noqa: N815
    comment: str
    detail: str
    at: int
    user_id: int


def job_view(row: jobs.Job) -> JobView:
    """The wire's form of a job."""
    return JobView(
        row.id,
        row.name,
        row.asset_id,
        job_rules.Priority(row.priority).name,
        row.status,
        row.created_at,
        row.changed_at,
        row.started_at,
        row.completed_at,
        row.canceled_at,
        row.template_id,
        row.version_id,
        row.version,
        row.done,
        row.created_by,
    )


def job_step_view(job: JobView, step: StepView, completion: job_steps.Completion | None) -> JobStepView:
    """The wire's form of a step: that of the job's version, and whether it is completed."""
    at, by = (None, None) if completion is None else (completion.completed_at, completion.completed_by)
    return JobStepView(*step, completion is not None, at, job.id, by)


def record_view(row: records.Record) -> RecordView:
    """The wire's form of a record."""
    kind = job_rules.RecordKind(row.kind)
    return RecordView(
        row.number,
        row.step,
        row.kind,
        row.text if kind is job_rules.RecordKind.TEXT else None,
        row.value if kind is job_rules.RecordKind.NUMBER else None,
        row.unit,
        row.text if kind is job_rules.RecordKind.CHOICE else None,
        bool(row.value) if kind is job_rules.RecordKind.BOOLEAN else None,
        row.recorded_at,
        row.file_id,
        row.recorded_by,
    )


def file_view(row: files.File) -> FileView:
    """The wire's form of a file."""
    return FileView(row.id, row.name, row.media_type, row.size, row.sha256, row.path, row.uploaded_at, row.uploaded_by)


def job_event_view(row: job_log.Event) -> JobEventView:
    """The wire's form of an entry."""
    return JobEventView(row.number, row.move, row.step, row.comment, row.detail, row.at, row.by)


def _read_assigned(unit: TenantUnit, job_ids: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for one in assignments.of_jobs(unit, job_ids):
        found.setdefault(one.job_id, []).append(one.user_id)
    return found


def _read_completions(unit: TenantUnit, job_ids: Sequence[int]) -> dict[int, dict[int, job_steps.Completion]]:
    found: dict[int, dict[int, job_steps.Completion]] = {}
    for one in job_steps.of_jobs(unit, job_ids):
        found.setdefault(one.job_id, {})[one.number] = one
    return found


#: A job's id and a step's number.
StepKey = tuple[int, int]


def _read_of_steps(unit: TenantUnit, keys: Sequence[StepKey]) -> dict[StepKey, list[RecordView]]:
    found: dict[StepKey, list[RecordView]] = {}
    for row in records.of_steps(unit, keys):
        found.setdefault((row.job_id, row.step), []).append(record_view(row))
    return found


#: By job: ids of the users who are assigned, and the completed steps by number. By step: its records. Files by id.
ASSIGNED: Loader[int, list[int]] = Loader(_read_assigned, missing=())
COMPLETIONS: Loader[int, dict[int, job_steps.Completion]] = Loader(_read_completions, missing={})
STEP_RECORDS: Loader[StepKey, list[RecordView]] = Loader(_read_of_steps, missing=())
RECORDS: Loader[Part, list[RecordView]] = Loader(
    parts(records.numbered, lambda row: row.job_id, record_view), missing=()
)
JOB_HISTORY: Loader[Part, list[JobEventView]] = Loader(
    parts(job_log.numbered, lambda row: row.job_id, job_event_view), missing=()
)
FILES: Loader[int, FileView] = Loader(lambda unit, ids: {row.id: file_view(row) for row in files.get_many(unit, ids)})
