"""``/api/admin/clients/{client}/sessions``: system admins see who of a client is signed in, and sign them out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth import audit, sessions
from manifest_auth.accounts import users
from manifest_auth.api.admin import lists
from manifest_auth.api.admin.clients import by_name
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.audit import Event
from manifest_auth.errors import NotFound
from manifest_auth.http import Access, Answer, Call, Paging, Route, ok
from manifest_auth.services import RequestContext
from manifest_auth.sessions import SessionSeen
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text.canonical import when


class SessionsQuery(Paging, frozen=True):
    """Query parameters of the list."""

    q: Annotated[str, Meta(max_length=200, description="Only those whose address or browser contains this.")] = ""
    sort: Annotated[Literal["CREATED", "CREATED_DESC", "ID", "ID_DESC"], Meta(description="Order.")] = "CREATED_DESC"
    state: Annotated[Literal["open", "over", "all"], Meta(description="Only those.")] = "open"
    method: Annotated[str, Meta(max_length=40, description="Only those that were opened so.")] = ""


class ClientSessionData(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    user_id: int
    email: str
    method: str
    created_at: str
    ends_at: str
    last_used_at: str
    ended_at: str | None
    end_reason: str | None
    address: str
    user_agent: str


class ClientSessionsData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[ClientSessionData, ...]
    next_cursor: str | None


class ClientSessionsEnded(msgspec.Struct, frozen=True):
    ended: int


def _wire(row: SessionSeen, emails: dict[int, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "userId": row.user_id,
        "email": emails[row.user_id],
        "method": row.method,
        "createdAt": when(row.created_at),
        "endsAt": when(row.ends_at),
        "lastUsedAt": when(row.last_used_at),
        "endedAt": when(row.ended_at) if row.ended_at else None,
        "endReason": row.end_reason,
        "address": row.address,
        "userAgent": row.user_agent,
    }


def _rows(ctx: RequestContext, unit: TenantUnit, asked: SessionsQuery, user_id: int | None) -> dict[str, Any]:
    state = None if asked.state == "all" else asked.state
    filters = Filters(
        state, "user" if user_id else None, "method" if asked.method else None,
        now=ctx.now, of_user=user_id, of_method=asked.method,
    ).search(asked.q)  # fmt: skip
    found = lists.read(
        unit,
        sessions.LISTING,
        Asked(asked.first, asked.after, asked.sort),
        filters,
        value_of=lambda row, _sort: row.created_at,
    )
    emails = {user.id: user.email for user in users.get_many(unit, [row.user_id for row in found.items])}
    return {"items": [_wire(row, emails) for row in found.items], "nextCursor": found.next_cursor}


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> dict[str, Any]:
        return _rows(ctx, unit.of(by_name(unit, call.path["client"]).id), call.parameters, None)

    return ok(await ctx.services.store.read(work))


async def _list_users(ctx: RequestContext, call: Call[None]) -> Answer:
    user_id = call.id("user")

    def work(unit: SystemUnit) -> dict[str, Any]:
        bound = unit.of(by_name(unit, call.path["client"]).id)
        return _rows(ctx, bound, call.parameters, users.get(bound, user_id).id)

    return ok(await ctx.services.store.read(work))


async def _end_all(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> int:
        tenant = by_name(unit, call.path["client"], lock=True)
        bound = unit.of(tenant.id)
        ended = sessions.end_tenant(bound, "ended_by_admin", ctx.now)
        audit.record(bound, ctx, Event.SIGNED_OUT_ALL, f"client:{tenant.id}", sessions=ended)
        return ended

    return ok({"ended": await ctx.services.store.write(work)})


async def _end(ctx: RequestContext, call: Call[None]) -> Answer:
    session_id = call.path["session"]

    def work(unit: SystemUnit) -> None:
        bound = unit.of(by_name(unit, call.path["client"]).id)
        found = sessions.find_seen(bound, session_id)
        if found is None or not sessions.end(bound, session_id, "ended_by_admin", ctx.now):
            raise NotFound()
        audit.record(bound, ctx, Event.SESSION_ENDED, f"user:{found.user_id}", session=session_id)

    await ctx.services.store.write(work)
    return ok({"ended": 1})


_CLIENT = "/api/admin/clients/{client}"
_BASE = f"{_CLIENT}/sessions"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "List a client's sessions", None, ClientSessionsData, query=SessionsQuery,
          refusals=(NotFound,)),
    Route("DELETE", _BASE, _end_all, Access.ADMIN, "End all sessions of a client", None, ClientSessionsEnded,
          refusals=(NotFound,)),
    Route("DELETE", f"{_BASE}/{{session}}", _end, Access.ADMIN, "End one session of a client", None,
          ClientSessionsEnded, refusals=(NotFound,)),
    Route("GET", f"{_CLIENT}/users/{{user}}/sessions", _list_users, Access.ADMIN, "List a user's sessions", None,
          ClientSessionsData, query=SessionsQuery, refusals=(NotFound,)),
)  # fmt: skip
