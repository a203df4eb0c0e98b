"""Providers of a client, for system admins under ``/api/admin/clients/{client}/providers`` and for the client's own
Admin and User Admin under ``/api/client/providers``: the same verbs, the same answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth import providers
from manifest_auth.api.admin import lists
from manifest_auth.api.admin.clients import by_name
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.context import AdminCaller
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.operations.providers.create import change, prepare, prepare_key, switch
from manifest_auth.operations.providers.delete import delete
from manifest_auth.operations.providers.diagnose import diagnose
from manifest_auth.operations.providers.drafts import draft_of
from manifest_auth.operations.providers.models import (
    ExaminedData,
    FindingData,
    KindName,
    ProviderBody,
    ProviderChange,
    ProviderData,
    ProvidersData,
    shown,
)
from manifest_auth.permissions import Permission, Role
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit

T = TypeVar("T")


class ProvidersQuery(msgspec.Struct, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC", "NAME", "NAME_DESC"], Meta(description="Order.")] = "ID"
    kind: Annotated[KindName, Meta(description="Only those.")] = ""
    state: Annotated[Literal["", "on", "off"], Meta(description="Only those that are switched so.")] = ""


class Deleted(msgspec.Struct, frozen=True):
    pass


def client_of(unit: SystemUnit, ctx: RequestContext, call: Call[Any]) -> tuple[TenantUnit, str]:
    """The tenant that the request is about: named by the path for a system admin, the caller's own for all others."""
    if isinstance(ctx.caller, AdminCaller):
        tenant = by_name(unit, call.path["client"])
        return unit.of(tenant.id), tenant.identifier
    return unit.of(ctx.user.tenant_id), ctx.user.client


def is_admin(ctx: RequestContext) -> bool:
    """Whether the caller ranks as an Admin: a system admin does."""
    return isinstance(ctx.caller, AdminCaller) or bool(ctx.user.roles & Role.ADMIN.bit)


async def _write(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], Provider]) -> msgspec.Struct:
    def whole(unit: SystemUnit) -> tuple[Provider, str]:
        bound, client = client_of(unit, ctx, call)
        return work(bound), client

    provider, client = await ctx.services.store.write(whole)
    return shown(ctx, client, provider)


async def _read(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], T]) -> tuple[T, str]:
    def whole(unit: SystemUnit) -> tuple[T, str]:
        bound, client = client_of(unit, ctx, call)
        return work(bound), client

    return await ctx.services.store.read(whole)


async def _create(ctx: RequestContext, call: Call[Any]) -> Answer:
    _, client = await _read(ctx, call, lambda unit: None)
    make = await prepare(ctx, client, call.body)
    return ok(await _write(ctx, call, lambda unit: make(unit, ctx, is_admin(ctx))), status=201)


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: TenantUnit) -> lists.Rows[Provider]:
        return lists.read(
            unit,
            providers.LISTING,
            Asked(page.first, page.after, asked.sort),
            Filters(asked.state, "kind" if asked.kind else None, of_kind=asked.kind).search(page.q),
            value_of=lambda provider, _sort: provider.name,
        )

    found, client = await _read(ctx, call, work)
    items = tuple(shown(ctx, client, one) for one in found.items)
    return ok(ProvidersData(items=items, next_cursor=found.next_cursor))


async def _get(ctx: RequestContext, call: Call[None]) -> Answer:
    found, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    return ok(shown(ctx, client, found))


async def _change(ctx: RequestContext, call: Call[Any]) -> Answer:
    draft, name = draft_of(call.body), call.path["provider"]
    return ok(await _write(ctx, call, lambda unit: change(unit, ctx, name, draft, by_admin=is_admin(ctx))))


async def _switch(ctx: RequestContext, call: Call[None], *, on: bool) -> Answer:
    name = call.path["provider"]
    return ok(await _write(ctx, call, lambda unit: switch(unit, ctx, name, on=on, by_admin=is_admin(ctx))))


async def _switch_on(ctx: RequestContext, call: Call[None]) -> Answer:
    return await _switch(ctx, call, on=True)


async def _switch_off(ctx: RequestContext, call: Call[None]) -> Answer:
    return await _switch(ctx, call, on=False)


async def _rotate_key(ctx: RequestContext, call: Call[None]) -> Answer:
    found, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    return ok(await _write(ctx, call, await prepare_key(ctx, client, found)))


async def _delete(ctx: RequestContext, call: Call[None]) -> Answer:
    await delete(ctx, lambda unit: client_of(unit, ctx, call)[0], call.path["provider"], by_admin=is_admin(ctx))
    return ok(Deleted())


async def _test(ctx: RequestContext, call: Call[None]) -> Answer:
    provider, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    findings = [finding async for finding in diagnose(ctx, client, provider, by_admin=is_admin(ctx))]
    works = all(finding.level != "bad" for finding in findings)
    return ok(ExaminedData(works, tuple(FindingData(found.level, found.text) for found in findings)))


def _routes(base: str, access: Access, permission: Permission | None) -> tuple[Route, ...]:
    one = f"{base}/{{provider}}"
    may: dict[str, Any] = {"permission": permission}
    gone = (NotFound,)
    return (
        Route("POST", base, _create, access, "Create an identity provider", ProviderBody, ProviderData, status=201,
              refusals=(NotFound, Conflict), **may),
        Route("GET", base, _list, access, "A client's identity providers", None, ProvidersData, paged=True,
              query=ProvidersQuery, refusals=gone, **may),
        Route("GET", one, _get, access, "One identity provider", None, ProviderData, refusals=gone, **may),
        Route("PATCH", one, _change, access, "Change an identity provider; what is left out stays", ProviderChange,
              ProviderData, refusals=(NotFound, Conflict), **may),
        Route("POST", f"{one}/switch-off", _switch_off, access, "Switch an identity provider off; ends its sessions",
              None, ProviderData, refusals=(NotFound, Conflict), **may),
        Route("POST", f"{one}/switch-on", _switch_on, access, "Switch an identity provider on again", None,
              ProviderData, refusals=(NotFound, Conflict), **may),
        Route("POST", f"{one}/rotate-key", _rotate_key, access, "A new key of ours for a SAML provider; the last one "
              "still opens what was encrypted for it", None, ProviderData, refusals=(NotFound, Conflict), **may),
        Route("POST", f"{one}/test", _test, access, "Talk to the provider and say what is wrong", None, ExaminedData,
              refusals=gone, **may),
        Route("DELETE", one, _delete, access, "Delete an identity provider, its links and the roles that its "
              "groups gave; ends its sessions", None, Deleted, refusals=gone, **may),
    )  # fmt: skip


ROUTES = (
    *_routes("/api/admin/clients/{client}/providers", Access.ADMIN, None),
    *_routes("/api/client/providers", Access.CLIENT, Permission.SETTINGS_MANAGE),
)
