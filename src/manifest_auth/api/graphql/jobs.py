"""Jobs, what is recorded in them, what happened to them, and the moves. The rules are in ``work.job_rules``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifest_auth.api.graphql import arguments, lists
from manifest_auth.api.graphql.job_views import (
    ASSIGNED,
    COMPLETIONS,
    FILES,
    JOB_HISTORY,
    RECORDS,
    STEP_RECORDS,
    FileView,
    JobEventView,
    JobStepView,
    JobView,
    RecordView,
    job_step_view,
    job_view,
    record_view,
)
from manifest_auth.api.graphql.lists import Filters, ListOf
from manifest_auth.api.graphql.people import PEOPLE
from manifest_auth.api.graphql.template_views import PUBLISHED, STEPS, TEMPLATES, VERSIONS
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import check_line, like
from manifest_auth.work import actor_of, assignments, job_operations, job_rules, job_steps, jobs, records

_PER_PAGE = 20
#: Members of ``JobFilter`` that are compared as they are: the names of the condition and of its parameter.
_SAME = {"status": "status", "templateId": "template", "assetId": "asset", "assignedUserId": "assigned"}


def _filters(given: dict[str, Any]) -> Filters:
    names, values = set[str](), dict[str, Any]()
    if text := arguments.search(given.get("search", "")):
        names.add("search")
        values["like"] = like(text)
    if "priority" in given:
        names.add("priority")
        values["priority"] = job_rules.Priority[given["priority"]].value
    if "assetId" in given:
        check_line(given["assetId"], "assetId", job_operations.ASSET_LIMIT, empty=True)
    for wire, name in _SAME.items():
        if wire in given:
            names.add(name)
            values[name] = given[wire]
    return Filters(frozenset(names), values)


_LIST = ListOf(
    jobs.LISTING,
    _filters,
    job_view,
)


async def _job(_root: Any, info: Any, id: int) -> JobView:  # noqa: A002 - the wire's name
    ctx: RequestContext = info.context
    return job_view(await ctx.store.read(lambda unit: jobs.get(unit, id)))


async def _template(job: JobView, info: Any) -> Any:
    return await TEMPLATES.load(info.context, job.template_id)


async def _version(job: JobView, info: Any) -> Any:
    return await VERSIONS.load(info.context, job.version_id)


async def _newer_version(job: JobView, info: Any) -> Any:
    published = await PUBLISHED.load(info.context, job.template_id)
    return published if published is not None and published.number > job.version_number else None


async def _assigned_users(job: JobView, info: Any) -> list[Any]:
    user_ids = await ASSIGNED.load(info.context, job.id)
    return [await found for found in [PEOPLE.load(info.context, user_id) for user_id in user_ids]]


async def _steps(job: JobView, info: Any) -> list[JobStepView]:
    steps, completions = STEPS.load(info.context, job.version_id), COMPLETIONS.load(info.context, job.id)
    completed = await completions
    return [job_step_view(job, step, completed.get(step.number)) for step in await steps]


async def _current_step(job: JobView, info: Any) -> JobStepView | None:
    steps = await STEPS.load(info.context, job.version_id)
    return job_step_view(job, steps[job.done], None) if job.done < len(steps) else None


async def _records(job: JobView, info: Any, first: int | None = None, after: int | None = None) -> Any:
    part = job.id, arguments.start(after), arguments.size(first, _PER_PAGE)
    return await RECORDS.load(info.context, part)


async def _history(job: JobView, info: Any, first: int | None = None, after: int | None = None) -> Any:
    part = job.id, arguments.start(after), arguments.size(first, _PER_PAGE)
    return await JOB_HISTORY.load(info.context, part)


async def _created_by(job: JobView, info: Any) -> Any:
    return await PEOPLE.load(info.context, job.created_by)


async def _completed_by(step: JobStepView, info: Any) -> Any:
    return None if step.completed_by is None else await PEOPLE.load(info.context, step.completed_by)


async def _step_records(step: JobStepView, info: Any) -> Any:
    return await STEP_RECORDS.load(info.context, (step.job_id, step.number))


async def _file(record: RecordView, info: Any) -> Any:
    return None if record.file_id is None else await FILES.load(info.context, record.file_id)


async def _recorded_by(record: RecordView, info: Any) -> Any:
    return await PEOPLE.load(info.context, record.recorded_by)


async def _uploaded_by(file: FileView, info: Any) -> Any:
    return await PEOPLE.load(info.context, file.uploaded_by)


async def _event_by(event: JobEventView, info: Any) -> Any:
    return await PEOPLE.load(info.context, event.user_id)


async def _write(ctx: RequestContext, verb: Callable[..., jobs.Job], *given: Any, **named: Any) -> JobView:
    def work(unit: TenantUnit) -> jobs.Job:
        return verb(unit, actor_of(ctx), *given, **named)

    return job_view(await ctx.store.write(work))


def _details(members: dict[str, Any]) -> dict[str, Any]:
    """Of an input, what the verbs take: null counts as left out."""
    priority = members.get("priority")
    found = {
        "name": members.get("name"),
        "asset_id": members.get("assetId"),
        "priority": None if priority is None else job_rules.Priority[priority],
    }
    return {name: value for name, value in found.items() if value is not None}


async def _add(_root: Any, info: Any, input: dict[str, Any]) -> JobView:  # noqa: A002 - the wire's name
    user_ids = input.get("assignedUserIds") or ()
    return await _write(
        info.context, job_operations.add, template_id=input["templateId"], user_ids=user_ids, **_details(input)
    )


async def _update(_root: Any, info: Any, id: int, input: dict[str, Any]) -> JobView:  # noqa: A002
    return await _write(info.context, job_operations.change, id, **_details(input))


async def _assign(_root: Any, info: Any, jobId: int, userId: int) -> JobView:  # noqa: N803 - the wire's names
    return await _write(info.context, assignments.assign, jobId, userId)


async def _unassign(_root: Any, info: Any, jobId: int, userId: int) -> JobView:  # noqa: N803
    return await _write(info.context, assignments.unassign, jobId, userId)


async def _start(_root: Any, info: Any, id: int) -> JobView:  # noqa: A002
    return await _write(info.context, job_operations.start, id)


async def _record(_root: Any, info: Any, jobId: int, stepNumber: int, input: dict[str, Any]) -> RecordView:  # noqa: A002, N803
    ctx: RequestContext = info.context
    value = job_rules.value_of(
        text=input.get("text"),
        value=input.get("value"),
        unit=input.get("unit"),
        choice=input.get("choice"),
        boolean=input.get("boolean"),
        file_id=input.get("fileId"),
    )
    return record_view(await ctx.store.write(lambda unit: records.add(unit, actor_of(ctx), jobId, stepNumber, value)))


async def _complete_step(_root: Any, info: Any, jobId: int, stepNumber: int) -> JobView:  # noqa: N803
    return await _write(info.context, job_steps.complete, jobId, stepNumber)


async def _complete(_root: Any, info: Any, id: int) -> JobView:  # noqa: A002
    return await _write(info.context, job_operations.complete, id)


async def _cancel(_root: Any, info: Any, id: int, comment: str | None = None) -> JobView:  # noqa: A002
    return await _write(info.context, job_operations.cancel, id, comment or "")


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.jobs": _LIST.items,
    "Query.jobsPage": _LIST.page,
    "Query.job": _job,
    "JobPage.total": lists.total,
    "Job.template": _template,
    "Job.version": _version,
    "Job.newerVersion": _newer_version,
    "Job.assignedUsers": _assigned_users,
    "Job.steps": _steps,
    "Job.currentStep": _current_step,
    "Job.records": _records,
    "Job.history": _history,
    "Job.createdBy": _created_by,
    "JobStep.completedBy": _completed_by,
    "JobStep.records": _step_records,
    "JobRecord.file": _file,
    "JobRecord.recordedBy": _recorded_by,
    "File.uploadedBy": _uploaded_by,
    "JobEvent.by": _event_by,
    "Mutation.addJob": _add,
    "Mutation.updateJob": _update,
    "Mutation.assignUserToJob": _assign,
    "Mutation.unassignUserFromJob": _unassign,
    "Mutation.startJob": _start,
    "Mutation.recordData": _record,
    "Mutation.completeStep": _complete_step,
    "Mutation.completeJob": _complete,
    "Mutation.cancelJob": _cancel,
}
