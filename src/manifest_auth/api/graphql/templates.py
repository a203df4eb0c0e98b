"""Queries and mutations on templates, their versions, steps and history.

The rules are in ``work.template_operations``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifest_auth.api.graphql import lists
from manifest_auth.api.graphql.batch_loading import HISTORY, LATEST, NUMBERED, PUBLISHED, STEPS, TEMPLATES, loaded
from manifest_auth.api.graphql.lists import ListOf
from manifest_auth.api.graphql.users import USERS
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.work import Actor, actor_of, template_operations, templates, versions
from manifest_auth.work import versions as work_steps

_PER_PAGE = 20


def _filters(given: dict[str, Any]) -> Filters:
    shelf = {True: "archived", False: "open", None: None}[given.get("isArchived")]
    status = given.get("status")
    return Filters("status" if status else None, shelf, status=status).search(lists.search(given))


_LIST = ListOf(templates.LISTING, _filters)


async def _template(_root: Any, info: Any, id: int) -> templates.Template:
    ctx: RequestContext = info.context
    return await ctx.store.read(lambda unit: templates.get(unit, id))


async def _version(_root: Any, info: Any, id: int) -> versions.Version:
    ctx: RequestContext = info.context
    return await ctx.store.read(lambda unit: versions.get(unit, id))


async def _versions(template: templates.Template, info: Any, first: int | None = None, after: int | None = None) -> Any:
    part = template.id, lists.start(after), lists.size(first, _PER_PAGE)
    return await NUMBERED.load(info.context, part)


async def _history(template: templates.Template, info: Any, first: int | None = None, after: int | None = None) -> Any:
    part = template.id, lists.start(after), lists.size(first, _PER_PAGE)
    return await HISTORY.load(info.context, part)


def _new_steps(given: list[dict[str, Any]] | None) -> list[work_steps.NewStep]:
    return [
        work_steps.NewStep(step["title"], step.get("instructions") or "", bool(step.get("requiresEvidence")))
        for step in given or ()
    ]


async def _add(_root: Any, info: Any, input: dict[str, Any]) -> templates.Template:
    ctx: RequestContext = info.context
    given = lists.members(input)
    steps = _new_steps(given.pop("steps", None))
    return await ctx.store.write(lambda unit: template_operations.add(unit, actor_of(ctx), of=steps, **given))


async def _on_template(
    ctx: RequestContext, template_id: int, act: Callable[[TenantUnit, Actor, templates.Template], templates.Template]
) -> Any:
    """Runs ``act`` on the template as it was when the request came; a change in between makes it a CONFLICT."""
    seen = await ctx.store.read(lambda unit: templates.get(unit, template_id))
    return await ctx.store.write(lambda unit: act(unit, actor_of(ctx), seen))


async def _update(_root: Any, info: Any, id: int, input: dict[str, Any]) -> Any:
    given = lists.members(input)
    return await _on_template(
        info.context, id, lambda unit, by, seen: template_operations.rename(unit, by, seen, **given)
    )


async def _archive(_root: Any, info: Any, id: int, comment: str | None = None) -> Any:
    return await _on_template(
        info.context, id, lambda unit, by, seen: template_operations.archive(unit, by, seen, comment or "")
    )


async def _restore(_root: Any, info: Any, id: int, comment: str | None = None) -> Any:
    return await _on_template(
        info.context, id, lambda unit, by, seen: template_operations.restore(unit, by, seen, comment or "")
    )


async def _on_version(
    ctx: RequestContext,
    see: Callable[[TenantUnit], template_operations.VersionSnapshot],
    act: Callable[[TenantUnit, Actor, template_operations.VersionSnapshot], versions.Version],
) -> versions.Version:
    """As :func:`_on_template`, for a version."""
    seen = await ctx.store.read(see)
    return await ctx.store.write(lambda unit: act(unit, actor_of(ctx), seen))


async def _add_version(_root: Any, info: Any, templateId: int) -> versions.Version:
    return await _on_version(
        info.context, lambda unit: template_operations.read_latest(unit, templateId), template_operations.add_version
    )


async def _edit(_root: Any, info: Any, id: int, input: dict[str, Any]) -> versions.Version:
    revision, steps = input["revision"], _new_steps(input["steps"])
    return await _on_version(
        info.context,
        lambda unit: template_operations.read_snapshot(unit, id),
        lambda unit, by, seen: template_operations.edit(unit, by, seen, revision, steps),
    )


def _move(operation: Callable[..., versions.Version]) -> Callable[..., Any]:
    """The resolver of a change of state that takes a comment and a revision."""

    async def resolve(
        _root: Any,
        info: Any,
        id: int,
        comment: str | None = None,
        revision: int | None = None,
    ) -> versions.Version:
        return await _on_version(
            info.context,
            lambda unit: template_operations.read_snapshot(unit, id),
            lambda unit, by, seen: operation(unit, by, seen, comment or "", revision),
        )

    return resolve


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.templates": _LIST.items,
    "Query.templatesPage": _LIST.page,
    "Query.template": _template,
    "Query.templateVersion": _version,
    "TemplatePage.total": lists.total,
    "Template.isArchived": lambda template, _info: template.archived_at is not None,
    "Template.createdBy": loaded(USERS, "created_by"),
    "Template.latestVersion": loaded(LATEST, "id"),
    "Template.publishedVersion": loaded(PUBLISHED, "id"),
    "Template.versions": _versions,
    "Template.history": _history,
    "TemplateVersion.template": loaded(TEMPLATES, "template_id"),
    "TemplateVersion.steps": loaded(STEPS, "id"),
    "TemplateVersion.createdBy": loaded(USERS, "created_by"),
    "TemplateEvent.by": loaded(USERS, "by"),
    "Mutation.addTemplate": _add,
    "Mutation.updateTemplate": _update,
    "Mutation.addTemplateVersion": _add_version,
    "Mutation.updateTemplateVersion": _edit,
    "Mutation.submitTemplateVersion": _move(template_operations.submit),
    "Mutation.approveTemplateVersion": _move(template_operations.approve),
    "Mutation.rejectTemplateVersion": _move(template_operations.reject),
    "Mutation.publishTemplateVersion": _move(template_operations.publish),
    "Mutation.archiveTemplate": _archive,
    "Mutation.restoreTemplate": _restore,
}
