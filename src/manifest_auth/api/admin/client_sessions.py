"""``/api/admin/clients/{client}/sessions``: system admins list and end the sessions of a client's users.

The routes for one user also exist below ``/api/client/users``, for the client's own Admin and User Admin.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from manifest_auth import accounts, sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import OF_CLIENT
from manifest_auth.errors import Forbidden, NotFound
from manifest_auth.http import Access, Call, Items, Paging, Route, Time, Wire
from manifest_auth.operations import client_lifecycle
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit, TenantUnit


class SessionsQuery(Paging, frozen=True):
    """Query parameters of the list."""

    q: Annotated[str, Meta(max_length=200, description="Only those whose address or browser contains this.")] = ""
    sort: Annotated[Literal["CREATED", "CREATED_DESC", "ID", "ID_DESC"], Meta(description="Order.")] = "CREATED_DESC"
    state: Annotated[Literal["open", "over", "all"], Meta(description="Only those.")] = "open"
    method: Annotated[str, Meta(max_length=40, description="Only sessions of this sign-in method.")] = ""


class ClientSessionData(Wire, frozen=True):
    """``appId``, ``label``: of a device's session, the app that holds it and the device's name; else null."""

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


class ClientSessionsData(Items[ClientSessionData], frozen=True): ...


class ClientSessionsEnded(Wire, frozen=True):
    ended: int


def _page(ctx: RequestContext, unit: TenantUnit, asked: SessionsQuery, user_id: int | None) -> ClientSessionsData:
    filters = Filters(
        None if asked.state == "all" else asked.state, "user" if user_id else None, "method" if asked.method else None,
        now=ctx.now, of_user=user_id, of_method=asked.method,
    ).search(asked.q)  # fmt: skip
    rows, next_cursor = lists.read(unit, sessions.LISTING, asked, filters)
    emails = {user.id: user.email for user in users.get_many(unit, [row.user_id for row in rows])}
    items = tuple(ClientSessionData.of(row, email=emails[row.user_id]) for row in rows)
    return ClientSessionsData(items, next_cursor)


async def _list(ctx: RequestContext, call: Call[None]) -> ClientSessionsData:
    return await client_scope.read(ctx, call, lambda unit: _page(ctx, unit, call.parameters, None))


async def _list_users(ctx: RequestContext, call: Call[None]) -> ClientSessionsData:
    user_id = call.id("user")
    return await client_scope.read(
        ctx, call, lambda unit: _page(ctx, unit, call.parameters, accounts.get_readable(unit, ctx, user_id).id)
    )


async def _end_users(ctx: RequestContext, call: Call[None]) -> ClientSessionsEnded:
    user_id = call.id("user")
    return ClientSessionsEnded(
        await client_scope.write(ctx, call, lambda unit: accounts.end_sessions(unit, ctx, user_id))
    )


async def _end_one_of_users(ctx: RequestContext, call: Call[None]) -> ClientSessionsEnded:
    user_id, session_id = call.id("user"), call.path["session"]
    await client_scope.write(ctx, call, lambda unit: accounts.end_session(unit, ctx, user_id, session_id))
    return ClientSessionsEnded(1)


async def _end_all(ctx: RequestContext, call: Call[None]) -> ClientSessionsEnded:
    def work(unit: SystemUnit) -> int:
        return client_lifecycle.end_sessions(unit, ctx, tenants.get_named(unit, call.path["client"], lock=True))

    return ClientSessionsEnded(await ctx.services.store.write(work))


async def _end(ctx: RequestContext, call: Call[None]) -> ClientSessionsEnded:
    session_id = call.path["session"]
    await client_scope.write(ctx, call, lambda unit: client_lifecycle.end_session(unit, ctx, session_id))
    return ClientSessionsEnded(1)


def _of_user(path: str, access: Access) -> tuple[Route, ...]:
    refusals = (NotFound, Forbidden) if access is Access.CLIENT else (NotFound,)
    return (
        Route("GET", path, _list_users, access, "List a user's sessions", query=SessionsQuery, refusals=refusals),
        Route("DELETE", path, _end_users, access, "End all sessions of a user", refusals=refusals),
        Route("DELETE", f"{path}/{{session}}", _end_one_of_users, access, "End one session of a user",
              refusals=refusals),
    )  # fmt: skip


_BASE = f"{OF_CLIENT}/sessions"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "List a client's sessions", query=SessionsQuery, refusals=(NotFound,)),
    Route("DELETE", _BASE, _end_all, Access.ADMIN, "End all sessions of a client", refusals=(NotFound,)),
    Route("DELETE", f"{_BASE}/{{session}}", _end, Access.ADMIN, "End one session of a client", refusals=(NotFound,)),
    *client_scope.for_admins_and_users(_of_user, "/users/{user}/sessions", Permission.USERS_MANAGE),
)  # fmt: skip
