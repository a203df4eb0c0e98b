"""Routes for clients, their settings and branding, and the sessions of their users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import accounts, sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import OF_CLIENT, reads, writes
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.clients import client_lifecycle, client_settings
from manifest_auth.clients.client_settings import BrandData
from manifest_auth.errors import Conflict, Forbidden, NotFound, PayloadTooLarge, UnsupportedMediaType, ValidationError
from manifest_auth.http import Access, Call, Items, Paging, Route, Time, Who, Wire, or_none
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit, TenantUnit
from manifest_auth.tenants import ClientData, StoredSettings, Tenant, TenantSettingsChange
from manifest_auth.tenants.png import MOST_BYTES
from manifest_auth.text import fields
from manifest_auth.text.models import IDENTIFIER, ErrorCollector

Name = Annotated[str, fields.CLIENT_NAME.meta]
_NOTHING_NEW = TenantSettingsChange()
_MEMBER = "settings."


class ClientBody(msgspec.Struct, frozen=True):
    identifier: Annotated[
        str,
        Meta(
            min_length=2,
            max_length=63,
            description="Lowercase letters, digits, and hyphens (not first or last); not only digits.",
            extra_json_schema=IDENTIFIER,
        ),
    ]
    name: Name
    settings: TenantSettingsChange = _NOTHING_NEW


class ClientChange(msgspec.Struct, frozen=True):
    """Omitted members don't change. The same applies to members of ``settings``."""

    name: Name | UnsetType = UNSET
    settings: TenantSettingsChange | UnsetType = UNSET


_States = Annotated[
    Literal["", "active", "suspended", "deleted"],
    Meta(description="Only clients with this state. `deleted`: marked for deletion."),
]


async def _create(ctx: RequestContext, call: Call[ClientBody]) -> ClientData:
    body = call.body
    settings = tenants.apply_change(StoredSettings(), body.settings, by_admin=True)
    with ErrorCollector() as each:
        with each:
            client_lifecycle.check(body.identifier, body.name, settings)
        with each:
            client_settings.check(ctx, settings, _MEMBER)
    made = await ctx.services.store.write(
        lambda unit: client_lifecycle.create(unit, ctx, body.identifier, body.name, settings)
    )
    return ClientData.of_tenant(made)


async def _list_clients(ctx: RequestContext, call: Call[None]) -> Items[ClientData]:
    asked = call.parameters
    filters = Filters(asked.state).search(asked.q)
    return await ctx.services.store.read(
        lambda unit: lists.page(ClientData.of_tenant, unit, tenants.LISTING, asked, filters)
    )


async def _get(ctx: RequestContext, call: Call[None]) -> ClientData:
    found = await ctx.services.store.read(lambda unit: tenants.get_named(unit, call.path["client"]))
    return ClientData.of_tenant(found)


def _changes(
    work: Callable[[SystemUnit, RequestContext, Tenant], Tenant],
) -> Callable[[RequestContext, Call[Any]], Awaitable[ClientData]]:
    """Returns a handler that changes the client in the path, and responds with the changed client."""

    async def handler(ctx: RequestContext, call: Call[None]) -> ClientData:
        changed = await ctx.services.store.write(
            lambda unit: work(unit, ctx, tenants.get_named(unit, call.path["client"], lock=True))
        )
        return ClientData.of_tenant(changed)

    return handler


async def _change(ctx: RequestContext, call: Call[ClientChange]) -> ClientData:
    name, settings = or_none(call.body.name), or_none(call.body.settings)
    return await _changes(lambda unit, ctx, before: client_settings.change(unit, ctx, before, name, settings, _MEMBER))(
        ctx, call
    )


_CLIENT_BASE = "/api/admin/clients"
CLIENT_ROUTES = (
    Route("POST", _CLIENT_BASE, _create, Access.ADMIN, "Create a client", status=201, refusals=(Conflict,),
          asks=NOTHING),
    Route("GET", _CLIENT_BASE, _list_clients, Access.ADMIN, "List and search clients",
          query=lists.query(tenants.LISTING.sorts, "ID", state=_States)),
    Route("GET", OF_CLIENT, _get, Access.ADMIN, "Get a client, by number or identifier", refusals=(NotFound,)),
    Route("PATCH", OF_CLIENT, _change, Access.ADMIN, "Change a client's name or settings", refusals=(NotFound,),
          asks=Act.RULES),
    Route("POST", f"{OF_CLIENT}/suspend", _changes(client_lifecycle.suspend), Access.ADMIN,
          "Suspend a client; its users are rejected immediately",
          refusals=(NotFound, Conflict), asks=NOTHING),
    Route("POST", f"{OF_CLIENT}/restore", _changes(client_lifecycle.restore), Access.ADMIN,
          "Restore a suspended client; for one marked for deletion, only cancel the deletion",
          refusals=(NotFound, Conflict), asks=NOTHING),
    Route("DELETE", OF_CLIENT, _changes(client_lifecycle.start_deletion), Access.ADMIN,
          "Suspend a client, and permanently delete it after a waiting period, in which you can cancel the deletion",
          refusals=(NotFound, Conflict), asks=Act.DELETION),
)  # fmt: skip


class SessionsQuery(Paging, frozen=True):
    """Query parameters of the list."""

    q: Annotated[
        str, Meta(max_length=200, description="Only sessions whose address or browser contains this text.")
    ] = ""
    sort: Annotated[Literal["CREATED", "CREATED_DESC", "ID", "ID_DESC"], Meta(description="Order.")] = "CREATED_DESC"
    state: Annotated[Literal["open", "over", "all"], Meta(description="Only sessions in this state.")] = "open"
    method: Annotated[str, Meta(max_length=40, description="Only sessions with this sign-in method.")] = ""


class ClientSessionData(Wire, frozen=True):
    """``appId``, ``label``: for a device's session, its app and the device's name; otherwise null."""

    id: str
    user_id: int
    email: str
    method: str
    created_at: Time
    ends_at: Time
    last_used_at: Time
    ended_at: Time | None
    end_reason: str | None
    address: str
    user_agent: str
    app_id: str | None
    label: str | None


class ClientSessionsEnded(Wire, frozen=True):
    ended: int


def _page(ctx: RequestContext, unit: TenantUnit, asked: SessionsQuery, user_id: int | None) -> Items[ClientSessionData]:
    filters = Filters(
        None if asked.state == "all" else asked.state,
        "user" if user_id else None,
        "method" if asked.method else None,
        now=ctx.now,
        of_user=user_id,
        of_method=asked.method,
    ).search(asked.q)
    rows, next_cursor = lists.read(unit, sessions.LISTING, asked, filters)
    emails = {user.id: user.email for user in users.get_many(unit, [row.user_id for row in rows])}
    return Items(tuple(ClientSessionData.of(row, email=emails[row.user_id]) for row in rows), next_cursor)


def _list_sessions(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[ClientSessionData]:
    return _page(ctx, own, call.parameters, None)


def _list_users(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[ClientSessionData]:
    return _page(ctx, own, call.parameters, accounts.get_readable(own, ctx, call.id("user")).id)


def _end_users(ctx: RequestContext, call: Call[None], own: TenantUnit) -> ClientSessionsEnded:
    return ClientSessionsEnded(accounts.end_sessions(own, ctx, call.id("user")))


def _end_one_of_users(ctx: RequestContext, call: Call[None], own: TenantUnit) -> ClientSessionsEnded:
    accounts.end_session(own, ctx, call.id("user"), call.path["session"])
    return ClientSessionsEnded(1)


async def _end_all(ctx: RequestContext, call: Call[None]) -> ClientSessionsEnded:
    ended = await ctx.services.store.write(
        lambda unit: client_lifecycle.end_sessions(unit, ctx, tenants.get_named(unit, call.path["client"], lock=True))
    )
    return ClientSessionsEnded(ended)


def _end(ctx: RequestContext, call: Call[None], own: TenantUnit) -> ClientSessionsEnded:
    client_lifecycle.end_session(own, ctx, call.path["session"])
    return ClientSessionsEnded(1)


def _of_user(path: str, access: Who) -> tuple[Route, ...]:
    refusals = (NotFound, Forbidden) if access is not Access.ADMIN else (NotFound,)
    return (
        Route("GET", path, reads(_list_users), access, "List a user's sessions", query=SessionsQuery,
              refusals=refusals),
        Route("DELETE", path, writes(_end_users), access, "End all sessions of a user", refusals=refusals,
              asks=Act.SESSIONS),
        Route("DELETE", f"{path}/{{session}}", writes(_end_one_of_users), access, "End one session of a user",
              refusals=refusals, asks=Act.SESSIONS),
    )  # fmt: skip


def _brand_data(unit: TenantUnit) -> BrandData:
    return client_settings.brand_of(unit, tenants.get(unit, unit.tenant_id))


def _read(ctx: RequestContext, call: Call[None], own: TenantUnit) -> BrandData:
    return _brand_data(own)


async def _put(ctx: RequestContext, call: Call[AsyncIterator[bytes]]) -> BrandData:
    if (call.head.content_type or "").strip().lower() != "image/png":
        raise UnsupportedMediaType("A logo must be image/png")
    if call.head.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("Content-Encoding isn't supported")
    data = b"".join([part async for part in call.body])

    def work(unit: TenantUnit) -> BrandData:
        client_settings.put_logo(unit, ctx, data)
        return _brand_data(unit)

    return await client_scope.write(ctx, call, work)


def _drop(ctx: RequestContext, call: Call[None], own: TenantUnit) -> BrandData:
    client_settings.drop_logo(own, ctx)
    return _brand_data(own)


def _routes(path: str, access: Who) -> tuple[Route, ...]:
    refusals = (NotFound, Forbidden) if access is not Access.ADMIN else (NotFound,)
    logo = f"{path}/logo"
    return (
        Route("GET", path, reads(_read), access, "Get a client's branding", refusals=refusals),
        Route("PUT", logo, _put, access, "Set a client's logo; the body is the PNG", streams=True,
              takes=("image/png",), limit=MOST_BYTES,
              refusals=(*refusals, ValidationError, PayloadTooLarge, UnsupportedMediaType), asks=NOTHING),
        Route("DELETE", logo, writes(_drop), access, "Delete a client's logo", refusals=refusals, asks=NOTHING),
    )  # fmt: skip


_SESSION_BASE = f"{OF_CLIENT}/sessions"
SESSION_ROUTES = (
    Route("GET", _SESSION_BASE, reads(_list_sessions), Access.ADMIN, "List a client's sessions", query=SessionsQuery,
          refusals=(NotFound,)),
    Route("DELETE", _SESSION_BASE, _end_all, Access.ADMIN, "End all sessions of a client", refusals=(NotFound,),
          asks=NOTHING),
    Route("DELETE", f"{_SESSION_BASE}/{{session}}", writes(_end), Access.ADMIN, "End one session of a client",
          refusals=(NotFound,), asks=NOTHING),
    *client_scope.for_admins_and_users(_of_user, "/users/{user}/sessions", Permission.USERS_MANAGE),
    *client_scope.for_admins_and_users(_routes, "/branding", Permission.SETTINGS_MANAGE),
)  # fmt: skip


async def _read_settings(ctx: RequestContext, call: Call[None]) -> StoredSettings:
    tenant = await ctx.services.store.read(lambda unit: tenants.get(unit, ctx.user.tenant_id))
    return tenants.settings_of(tenant.settings)


async def _change_settings(ctx: RequestContext, call: Call[TenantSettingsChange]) -> StoredSettings:
    def work(unit: SystemUnit) -> str:
        before = tenants.get(unit, ctx.user.tenant_id, lock=True)
        return client_settings.change(unit, ctx, before, None, call.body).settings

    return tenants.settings_of(await ctx.services.store.write(work))


SETTINGS_ROUTES = (
    Route("GET", "/api/client/settings", _read_settings, Permission.SETTINGS_MANAGE, "Get your client's settings"),
    Route("PATCH", "/api/client/settings", _change_settings, Permission.SETTINGS_MANAGE,
          "Change your client's settings",
          refusals=(ValidationError, Forbidden, Conflict), asks=Act.RULES),
)  # fmt: skip
