"""``/api/admin/clients/{client}/sessions``: system admins list and end the sessions of a client's users."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from manifest_auth import sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import OF_CLIENT
from manifest_auth.errors import NotFound
from manifest_auth.http import Access, Call, Items, Paging, Route, Time, Wire
from manifest_auth.operations import client_lifecycle
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit, TenantUnit


class SessionsQuery(Paging, frozen=True):
    """Query parameters of the list."""

    q: Annotated[str, Meta(max_length=200, description="Only those whose address or browser contains this.")] = ""
    sort: Annotated[Literal["CREATED", "CREATED_DESC", "ID", "ID_DESC"], Meta(description="Order.")] = "CREATED_DESC"
    state: Annotated[Literal["open", "over", "all"], Meta(description="Only those.")] = "open"
    method: Annotated[str, Meta(max_length=40, description="Only sessions of this sign-in method.")] = ""


class ClientSessionData(Wire, frozen=True):
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
        ctx, call, lambda unit: _page(ctx, unit, call.parameters, users.get(unit, user_id).id)
    )


async def _end_all(ctx: RequestContext, call: Call[None]) -> ClientSessionsEnded:
    def work(unit: SystemUnit) -> int:
        return client_lifecycle.end_sessions(unit, ctx, tenants.get_named(unit, call.path["client"], lock=True))

    return ClientSessionsEnded(await ctx.services.store.write(work))


async def _end(ctx: RequestContext, call: Call[None]) -> ClientSessionsEnded:
    session_id = call.path["session"]
    await client_scope.write(ctx, call, lambda unit: client_lifecycle.end_session(unit, ctx, session_id))
    return ClientSessionsEnded(1)


_BASE = f"{OF_CLIENT}/sessions"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "List a client's sessions", query=SessionsQuery, refusals=(NotFound,)),
    Route("DELETE", _BASE, _end_all, Access.ADMIN, "End all sessions of a client", refusals=(NotFound,)),
    Route("DELETE", f"{_BASE}/{{session}}", _end, Access.ADMIN, "End one session of a client", refusals=(NotFound,)),
    Route("GET", f"{OF_CLIENT}/users/{{user}}/sessions", _list_users, Access.ADMIN, "List a user's sessions",
          query=SessionsQuery, refusals=(NotFound,)),
)  # fmt: skip
