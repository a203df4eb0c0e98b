"""Batch loading (the DataLoader pattern) for resolvers, and the loaders of templates and jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.work import files, job_operations, jobs, records, templates, versions
from manifest_auth.work.files import File
from manifest_auth.work.jobs import Job
from manifest_auth.work.records import Record
from manifest_auth.work.templates import Template
from manifest_auth.work.versions import Step, Version

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")


class Loader(Generic[K, V]):
    """Loads rows by key: those that resolvers ask for in one turn of the event loop are read with one statement.

    ``read`` gets the keys and returns the rows by key; ``missing`` is the value of the others. One loader serves the
    whole process; loaded rows are cached for one request alone.
    """

    def __init__(self, read: Callable[[TenantUnit, Sequence[K]], dict[K, V]], missing: Any = None) -> None:
        self._read, self._missing = read, missing

    def load(self, ctx: RequestContext, key: K) -> asyncio.Future[Any]:
        """The value of the key, after the next turn of the loop. Shielded: when a field fails, the executor cancels its
        siblings, and a cancelled task would cancel a future that others wait for as well."""
        batches: dict[Any, _Batch] = ctx.loaded
        batch = batches.get(self)
        if batch is None:
            batch = batches[self] = _Batch(ctx, self._read, self._missing)
        shielded = asyncio.shield(batch.load(key))
        shielded.add_done_callback(_mark_as_read)
        return shielded


def loaded(loader: Loader[Any, Any], member: str) -> Callable[[Any, Any], Awaitable[Any]]:
    """A resolver: what the loader has for a member of the source."""

    async def resolve(source: Any, info: Any) -> Any:
        return await loader.load(info.context, getattr(source, member))

    return resolve


class _Batch:
    """The keys that one request asks one loader for."""

    def __init__(self, ctx: RequestContext, read: Callable[..., dict[Any, Any]], missing: Any) -> None:
        self._ctx, self._read, self._missing = ctx, read, missing
        self._known: dict[Any, asyncio.Future[Any]] = {}
        self._wanted: list[Any] = []
        self._task: asyncio.Task[None] | None = None

    def load(self, key: Any) -> asyncio.Future[Any]:
        found = self._known.get(key)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._known[key] = loop.create_future()
            if not self._wanted:
                loop.call_soon(self._start)
            self._wanted.append(key)
        return found

    def _start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        keys, self._wanted = self._wanted, []
        try:
            found = await self._ctx.store.read(lambda unit: self._read(unit, keys))
        except BaseException as error:  # noqa: BLE001 - all waiting fields get the error
            for key in keys:
                self._fail(key, error)
            return
        for key in keys:
            future = self._known[key]
            if not future.done():
                future.set_result(found.get(key, self._missing))

    def _fail(self, key: Any, error: BaseException) -> None:
        future = self._known[key]
        if future.done():
            return
        if isinstance(error, asyncio.CancelledError):
            future.cancel()
        else:
            future.set_exception(error)
            _mark_as_read(future)


def _mark_as_read(future: asyncio.Future[Any]) -> None:
    """No one may be left to read the error: the waiting field may be cancelled already."""
    if not future.cancelled():
        future.exception()


#: A part of a list that is numbered within its parent: the parent's id, the number before the first item, the count.
Part = tuple[int, int, int]


def parts(
    read: Callable[[TenantUnit, Sequence[int], int, int], list[R]],
    parent: Callable[[R], int],
) -> Callable[[TenantUnit, Sequence[Part]], dict[Part, list[R]]]:
    """Makes the ``read`` of a loader that reads parts of many parents' lists: one statement for each pair of
    arguments."""

    def read_parts(unit: TenantUnit, keys: Sequence[Part]) -> dict[Part, list[R]]:
        found: dict[Part, list[R]] = {}
        for after, first in {key[1:] for key in keys}:
            ids = [key[0] for key in keys if key[1:] == (after, first)]
            for row in read(unit, ids, after, first):
                found.setdefault((parent(row), after, first), []).append(row)
        return found

    return read_parts


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


class JobStep(NamedTuple):
    """A step of a job: the step of the job's version, and its completion, if any."""

    job: Job
    step: Step
    completion: records.Completion | None


def _read_assigned(unit: TenantUnit, job_ids: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for one in job_operations.assignments_of(unit, job_ids):
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
