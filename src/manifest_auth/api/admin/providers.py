"""Routes for a client's providers.

System admins call them under ``/api/admin/clients/{client}/providers``. The client's own Admin and User Admin call them
under ``/api/client/providers``, with the same handlers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth import accounts, providers
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import client_of
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.clients.providers.changes import (
    ExaminedData,
    FindingData,
    KindName,
    ProviderBody,
    ProviderChange,
    ProviderData,
    change,
    delete,
    draft_of,
    prepare,
    prepare_key,
    provider_data,
    switch,
)
from manifest_auth.clients.providers.diagnosis import diagnose, verdict
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import Call, Items, Route, Who, Wire, items_of
from manifest_auth.permissions import Permission
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit, TenantUnit

T = TypeVar("T")


_QUERY = lists.query(
    providers.LISTING.sorts,
    "ID",
    kind=Annotated[KindName, Meta(description="Only providers of this kind.")],
    state=Annotated[Literal["", "on", "off"], Meta(description="Only providers in this state.")],
)


class Deleted(Wire, frozen=True): ...


async def _write(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], Provider]) -> msgspec.Struct:
    def whole(unit: SystemUnit) -> tuple[Provider, str]:
        bound, client = client_of(unit, ctx, call)
        return work(bound), client

    provider, client = await ctx.services.store.write(whole)
    return provider_data(ctx, client, provider)


async def _read(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], T]) -> tuple[T, str]:
    def whole(unit: SystemUnit) -> tuple[T, str]:
        bound, client = client_of(unit, ctx, call)
        return work(bound), client

    return await ctx.services.store.read(whole)


async def _create(ctx: RequestContext, call: Call[Any]) -> msgspec.Struct:
    _, client = await _read(ctx, call, lambda unit: None)
    make = await prepare(ctx, client, call.body)
    return await _write(ctx, call, make)


async def _list(ctx: RequestContext, call: Call[None]) -> msgspec.Struct:
    asked = call.parameters
    filters = Filters(asked.state, "kind" if asked.kind else None, of_kind=asked.kind).search(asked.q)
    read = await _read(ctx, call, lambda unit: lists.read(unit, providers.LISTING, asked, filters))
    (rows, next_cursor), client = read
    return Items(items=tuple(provider_data(ctx, client, row) for row in rows), next_cursor=next_cursor)


async def _get(ctx: RequestContext, call: Call[None]) -> msgspec.Struct:
    found, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    return provider_data(ctx, client, found)


async def _change(ctx: RequestContext, call: Call[Any]) -> msgspec.Struct:
    draft, name = draft_of(call.body), call.path["provider"]
    return await _write(ctx, call, lambda unit: change(unit, ctx, name, draft, by_admin=accounts.is_admin(ctx)))


async def _switch_on(ctx: RequestContext, call: Call[None]) -> msgspec.Struct:
    name = call.path["provider"]
    return await _write(ctx, call, lambda unit: switch(unit, ctx, name, on=True, by_admin=accounts.is_admin(ctx)))


async def _switch_off(ctx: RequestContext, call: Call[None]) -> msgspec.Struct:
    name = call.path["provider"]
    return await _write(ctx, call, lambda unit: switch(unit, ctx, name, on=False, by_admin=accounts.is_admin(ctx)))


async def _rotate_key(ctx: RequestContext, call: Call[None]) -> msgspec.Struct:
    found, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    return await _write(ctx, call, await prepare_key(ctx, client, found, by_admin=accounts.is_admin(ctx)))


async def _delete(ctx: RequestContext, call: Call[None]) -> Deleted:
    await delete(
        ctx, lambda unit: client_of(unit, ctx, call)[0], call.path["provider"], by_admin=accounts.is_admin(ctx)
    )
    return Deleted()


async def _test(ctx: RequestContext, call: Call[None]) -> ExaminedData:
    provider, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    findings = [finding async for finding in diagnose(ctx, client, provider, by_admin=accounts.is_admin(ctx))]
    return ExaminedData(verdict(findings), tuple(FindingData(found.level, str(found.text)) for found in findings))


def _routes(base: str, access: Who) -> tuple[Route, ...]:
    one = f"{base}/{{provider}}"
    found, conflict = (NotFound,), (NotFound, Conflict)
    return (
        Route("POST", base, _create, access, "Create an identity provider", body=ProviderBody, status=201,
              refusals=conflict, data=ProviderData, asks=Act.PROVIDERS),
        Route("GET", base, _list, access,
              "List a client's identity providers", data=items_of(ProviderData), query=_QUERY,
              refusals=found),
        Route("GET", one, _get, access, "Get an identity provider", refusals=found, data=ProviderData),
        Route("PATCH", one, _change, access, "Change an identity provider; omitted members don't change",
              body=ProviderChange, refusals=conflict, data=ProviderData, asks=Act.PROVIDERS),
        Route("POST", f"{one}/switch-off", _switch_off, access, "Turn an identity provider off; ends its sessions",
              refusals=conflict, data=ProviderData, asks=Act.PROVIDERS),
        Route("POST", f"{one}/switch-on", _switch_on, access, "Turn an identity provider on again",
              refusals=conflict, data=ProviderData, asks=Act.PROVIDERS),
        Route("POST", f"{one}/rotate-key", _rotate_key, access,
              "Create a new key for a SAML provider; the previous one still decrypts",
              refusals=conflict, data=ProviderData, asks=Act.PROVIDERS),
        Route("POST", f"{one}/test", _test, access, "Test a provider, with a list of findings", refusals=found,
              asks=NOTHING,
              is_recorded=False),
        Route("DELETE", one, _delete, access,
              "Delete a provider, its identities, and the roles of its groups; ends its sessions", refusals=conflict,
              asks=Act.PROVIDERS),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/providers", Permission.SETTINGS_MANAGE)
