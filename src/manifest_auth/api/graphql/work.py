"""Queries and mutations on templates, their versions and steps, and on jobs and their records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from manifest_auth.api.graphql import lists
from manifest_auth.api.graphql.batch_loading import Loader, Part, grouped, loaded, parts
from manifest_auth.api.graphql.lists import ListOf
from manifest_auth.api.graphql.users import USERS
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text import fields
from manifest_auth.work import (
    Actor,
    actor_of,
    files,
    job_operations,
    job_rules,
    jobs,
    records,
    template_operations,
    templates,
    versions,
)
from manifest_auth.work.files import File
from manifest_auth.work.jobs import Job
from manifest_auth.work.records import Completion, Record
from manifest_auth.work.templates import Template
from manifest_auth.work.versions import NewStep, Step, Version

_PER_PAGE = 20
#: The ID of a job and the number of a step.
StepKey = tuple[int, int]


def _by_template(rows: list[Version]) -> dict[int, Version]:
    return {row.template_id: row for row in rows}


def _read_completions(unit: TenantUnit, job_ids: Sequence[int]) -> dict[int, dict[int, Completion]]:
    found: dict[int, dict[int, Completion]] = {}
    for one in records.steps_of_jobs(unit, job_ids):
        found.setdefault(one.job_id, {})[one.number] = one
    return found


#: Templates and versions by ID; the latest and the published version by template; steps by version.
TEMPLATES: Loader[int, Template] = Loader(lambda unit, ids: {row.id: row for row in templates.get_many(unit, ids)})
VERSIONS: Loader[int, Version] = Loader(lambda unit, ids: {row.id: row for row in versions.get_many(unit, ids)})
LATEST: Loader[int, Version] = Loader(lambda unit, ids: _by_template(versions.latest_of(unit, ids)))
PUBLISHED: Loader[int, Version] = Loader(lambda unit, ids: _by_template(versions.published_of(unit, ids)))
STEPS: Loader[int, list[Step]] = Loader(
    lambda unit, ids: grouped((step.version_id, step) for step in versions.steps_of(unit, ids)), missing=()
)
NUMBERED: Loader[Part, list[Version]] = Loader(parts(versions.numbered, lambda row: row.template_id), missing=())
HISTORY: Loader[Part, list[templates.Event]] = Loader(
    parts(templates.numbered_log, lambda row: row.template_id), missing=()
)
#: By job: IDs of the assigned users, and completed steps by number. By step: its records. Files by ID.
ASSIGNED: Loader[int, list[int]] = Loader(
    lambda unit, ids: grouped(job_operations.assignments_of(unit, ids)), missing=()
)
COMPLETIONS: Loader[int, dict[int, Completion]] = Loader(_read_completions, missing={})
STEP_RECORDS: Loader[StepKey, list[Record]] = Loader(
    lambda unit, keys: grouped(((row.job_id, row.step), row) for row in records.of_steps(unit, keys)), missing=()
)
RECORDS: Loader[Part, list[Record]] = Loader(parts(records.numbered, lambda row: row.job_id), missing=())
JOB_HISTORY: Loader[Part, list[jobs.Event]] = Loader(parts(jobs.numbered_log, lambda row: row.job_id), missing=())
FILES: Loader[int, File] = Loader(lambda unit, ids: {row.id: row for row in files.get_many(unit, ids)})


class JobStep(NamedTuple):
    """A step of a job: the step of the job's version, and its completion if there is one."""

    job: Job
    step: Step
    completion: Completion | None


def _numbered(loader: Loader[Part, Any]) -> Callable[..., Any]:
    """Returns the resolver of a list that is numbered within its parent."""

    async def resolve(parent: Any, info: Any, first: int | None = None, after: int | None = None) -> Any:
        return await loader.load(info.context, (parent.id, lists.start(after), lists.size(first, _PER_PAGE)))

    return resolve


def _template_filters(given: dict[str, Any]) -> Filters:
    shelf = {True: "archived", False: "open", None: None}[given.get("isArchived")]
    status = given.get("status")
    return Filters("status" if status else None, shelf, status=status).search(lists.search(given))


_TEMPLATE_LIST = ListOf(templates.LISTING, _template_filters)


def _new_steps(given: list[dict[str, Any]] | None) -> list[NewStep]:
    return [
        NewStep(step["title"], step.get("instructions") or "", bool(step.get("requiresEvidence")))
        for step in given or ()
    ]


async def _add_template(_root: Any, info: Any, input: dict[str, Any]) -> Template:
    ctx: RequestContext = info.context
    given = lists.members(input)
    steps = _new_steps(given.pop("steps", None))
    return await ctx.store.write(lambda unit: template_operations.add(unit, actor_of(ctx), of=steps, **given))


async def _on_template(
    ctx: RequestContext, template_id: int, act: Callable[[TenantUnit, Actor, Template], Template]
) -> Any:
    """Runs ``act`` on the template as it was when the request arrived. A change in between causes a CONFLICT."""
    seen = await ctx.store.read(lambda unit: templates.get(unit, template_id))
    return await ctx.store.write(lambda unit: act(unit, actor_of(ctx), seen))


async def _update_template(_root: Any, info: Any, id: int, input: dict[str, Any]) -> Any:
    given = lists.members(input)
    return await _on_template(
        info.context, id, lambda unit, by, seen: template_operations.rename(unit, by, seen, **given)
    )


def _shelve(act: Callable[[TenantUnit, Actor, Template, str], Template]) -> Callable[..., Any]:
    """Returns the resolver of a change to a template that takes a comment."""

    return lambda _root, info, id, comment=None: _on_template(
        info.context, id, lambda unit, by, seen: act(unit, by, seen, comment or "")
    )


async def _on_version(
    ctx: RequestContext,
    see: Callable[[TenantUnit], template_operations.VersionSnapshot],
    act: Callable[[TenantUnit, Actor, template_operations.VersionSnapshot], Version],
) -> Version:
    """Like :func:`_on_template`, for a version."""
    seen = await ctx.store.read(see)
    return await ctx.store.write(lambda unit: act(unit, actor_of(ctx), seen))


async def _add_version(_root: Any, info: Any, templateId: int) -> Version:
    return await _on_version(
        info.context, lambda unit: template_operations.read_latest(unit, templateId), template_operations.add_version
    )


async def _edit(_root: Any, info: Any, id: int, input: dict[str, Any]) -> Version:
    revision, steps = input["revision"], _new_steps(input["steps"])
    return await _on_version(
        info.context,
        lambda unit: template_operations.read_snapshot(unit, id),
        lambda unit, by, seen: template_operations.edit(unit, by, seen, revision, steps),
    )


def _move(operation: Callable[..., Version]) -> Callable[..., Any]:
    """Returns the resolver of a change of state that takes a comment and a revision."""

    return lambda _root, info, id, comment=None, revision=None: _on_version(
        info.context,
        lambda unit: template_operations.read_snapshot(unit, id),
        lambda unit, by, seen: operation(unit, by, seen, comment or "", revision),
    )


TEMPLATE_RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.templates": _TEMPLATE_LIST.items,
    "Query.templatesPage": _TEMPLATE_LIST.page,
    "Query.template": lists.one(templates.get),
    "Query.templateVersion": lists.one(versions.get),
    "TemplatePage.total": lists.total,
    "Template.isArchived": lambda template, _info: template.archived_at is not None,
    "Template.createdBy": loaded(USERS, "created_by"),
    "Template.latestVersion": loaded(LATEST, "id"),
    "Template.publishedVersion": loaded(PUBLISHED, "id"),
    "Template.versions": _numbered(NUMBERED),
    "Template.history": _numbered(HISTORY),
    "TemplateVersion.template": loaded(TEMPLATES, "template_id"),
    "TemplateVersion.steps": loaded(STEPS, "id"),
    "TemplateVersion.createdBy": loaded(USERS, "created_by"),
    "TemplateEvent.by": loaded(USERS, "by"),
    "Mutation.addTemplate": _add_template,
    "Mutation.updateTemplate": _update_template,
    "Mutation.addTemplateVersion": _add_version,
    "Mutation.updateTemplateVersion": _edit,
    "Mutation.submitTemplateVersion": _move(template_operations.submit),
    "Mutation.approveTemplateVersion": _move(template_operations.approve),
    "Mutation.rejectTemplateVersion": _move(template_operations.reject),
    "Mutation.publishTemplateVersion": _move(template_operations.publish),
    "Mutation.archiveTemplate": _shelve(template_operations.archive),
    "Mutation.restoreTemplate": _shelve(template_operations.restore),
}


#: Members of ``JobFilter`` that are compared for equality, with the names of their parameters.
_SAME = {"status": "status", "templateId": "template", "assetId": "asset", "assignedUserId": "assigned"}


def _job_filters(given: dict[str, Any]) -> Filters:
    values = {name: given[wire] for wire, name in _SAME.items() if wire in given}
    if "priority" in given:
        values["priority"] = job_rules.Priority[given["priority"]].value
    if "assetId" in given:
        fields.ASSET._replace(least=0).check(given["assetId"], "assetId")
    return Filters(*values, **values).search(lists.search(given))


_JOB_LIST = ListOf(jobs.LISTING, _job_filters)


async def _newer_version(job: Job, info: Any) -> Any:
    published = await PUBLISHED.load(info.context, job.template_id)
    return published if published is not None and published.number > job.version else None


async def _assigned_users(job: Job, info: Any) -> list[Any]:
    user_ids = await ASSIGNED.load(info.context, job.id)
    return [await found for found in [USERS.load(info.context, user_id) for user_id in user_ids]]


async def _steps(job: Job, info: Any) -> list[JobStep]:
    steps, completions = STEPS.load(info.context, job.version_id), COMPLETIONS.load(info.context, job.id)
    completed = await completions
    return [JobStep(job, step, completed.get(step.number)) for step in await steps]


async def _current_step(job: Job, info: Any) -> JobStep | None:
    steps = await STEPS.load(info.context, job.version_id)
    return JobStep(job, steps[job.done], None) if job.done < len(steps) else None


async def _completed_by(step: JobStep, info: Any) -> Any:
    return None if step.completion is None else await USERS.load(info.context, step.completion.completed_by)


async def _step_records(step: JobStep, info: Any) -> Any:
    return await STEP_RECORDS.load(info.context, (step.job.id, step.step.number))


def _of_step(member: str) -> Callable[[JobStep, Any], Any]:
    return lambda step, _info: getattr(step.step, member)


def _value_of(member: str, kind: job_rules.RecordKind) -> Callable[[Record, Any], Any]:
    """Returns the value of records of one kind; null for records of other kinds."""
    return lambda record, _info: getattr(record, member) if record.kind == kind.value else None


async def _file(record: Record, info: Any) -> Any:
    return None if record.file_id is None else await FILES.load(info.context, record.file_id)


async def _write(ctx: RequestContext, operation: Callable[..., Job], *given: Any, **named: Any) -> Job:
    return await ctx.store.write(lambda unit: operation(unit, actor_of(ctx), *given, **named))


def _act(operation: Callable[..., Job], *arguments: str) -> Callable[..., Any]:
    """Returns the resolver of an operation on a job. ``arguments`` are the field's arguments, in the operation's
    order."""

    return lambda _root, info, **given: _write(info.context, operation, *(given[name] for name in arguments))


def _details(given: dict[str, Any]) -> dict[str, Any]:
    found = lists.members(given)
    if "priority" in found:
        found["priority"] = job_rules.Priority[found["priority"]]
    return found


async def _record(_root: Any, info: Any, jobId: int, stepNumber: int, input: dict[str, Any]) -> Record:
    ctx: RequestContext = info.context
    value = job_rules.value_of(
        text=input.get("text"),
        value=input.get("value"),
        unit=input.get("unit"),
        choice=input.get("choice"),
        boolean=input.get("boolean"),
        file_id=input.get("fileId"),
    )
    return await ctx.store.write(lambda unit: records.add(unit, actor_of(ctx), jobId, stepNumber, value))


JOB_RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.jobs": _JOB_LIST.items,
    "Query.jobsPage": _JOB_LIST.page,
    "Query.job": lists.one(jobs.get),
    "JobPage.total": lists.total,
    "Job.priority": lambda job, _info: job_rules.Priority(job.priority).name,
    "Job.template": loaded(TEMPLATES, "template_id"),
    "Job.version": loaded(VERSIONS, "version_id"),
    "Job.newerVersion": _newer_version,
    "Job.assignedUsers": _assigned_users,
    "Job.steps": _steps,
    "Job.currentStep": _current_step,
    "Job.records": _numbered(RECORDS),
    "Job.history": _numbered(JOB_HISTORY),
    "Job.createdBy": loaded(USERS, "created_by"),
    "JobStep.number": _of_step("number"),
    "JobStep.title": _of_step("title"),
    "JobStep.instructions": _of_step("instructions"),
    "JobStep.requiresEvidence": _of_step("requires_evidence"),
    "JobStep.isCompleted": lambda step, _info: step.completion is not None,
    "JobStep.completedAt": lambda step, _info: step.completion and step.completion.completed_at,
    "JobStep.completedBy": _completed_by,
    "JobStep.records": _step_records,
    "JobRecord.stepNumber": lambda record, _info: record.step,
    "JobRecord.text": _value_of("text", job_rules.RecordKind.TEXT),
    "JobRecord.value": _value_of("value", job_rules.RecordKind.NUMBER),
    "JobRecord.choice": _value_of("text", job_rules.RecordKind.CHOICE),
    "JobRecord.boolean": _value_of("value", job_rules.RecordKind.BOOLEAN),
    "JobRecord.file": _file,
    "JobRecord.recordedBy": loaded(USERS, "recorded_by"),
    "File.url": lambda file, _info: file.path,
    "File.uploadedBy": loaded(USERS, "uploaded_by"),
    "JobEvent.stepNumber": lambda event, _info: event.step,
    "JobEvent.by": loaded(USERS, "by"),
    "Mutation.addJob": lambda _root, info, input: _write(info.context, job_operations.add, **_details(input)),
    "Mutation.updateJob": lambda _root, info, id, input: _write(
        info.context, job_operations.change, id, **_details(input)
    ),
    "Mutation.assignUserToJob": _act(job_operations.assign, "jobId", "userId"),
    "Mutation.unassignUserFromJob": _act(job_operations.unassign, "jobId", "userId"),
    "Mutation.startJob": _act(job_operations.start, "id"),
    "Mutation.recordData": _record,
    "Mutation.completeStep": _act(records.complete_step, "jobId", "stepNumber"),
    "Mutation.completeJob": _act(job_operations.complete, "id"),
    "Mutation.cancelJob": lambda _root, info, id, comment=None: _write(
        info.context, job_operations.cancel, id, comment or ""
    ),
}
