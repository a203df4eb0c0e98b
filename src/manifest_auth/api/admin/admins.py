"""``/api/admin/admins``: system admins create, find, disable, enable, reset each other; the last active one stays."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import audit
from manifest_auth.accounts import admins, password_rules
from manifest_auth.accounts.admins import managing, second_factor
from manifest_auth.api.admin import lists
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, NotFound, Overloaded
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import PasswordRules
from manifest_auth.text.canonical import when

_PASSWORD_BYTES = 18  # 24 characters, 144 bits


class AdminBody(msgspec.Struct, frozen=True):
    username: Annotated[str, Meta(min_length=1, max_length=64)]
    password: (
        Annotated[
            str, Meta(min_length=1, max_length=256, description="Left out: a random one is made, and shown once.")
        ]
        | UnsetType
    ) = UNSET


class AdminsQuery(msgspec.Struct, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC", "USERNAME", "USERNAME_DESC"], Meta(description="Order.")] = "ID"
    state: Annotated[Literal["", "active", "disabled"], Meta(description="Only those.")] = ""


class AdminData(msgspec.Struct, frozen=True, rename="camel"):
    id: int
    username: str
    second_factor: bool
    created_at: str
    disabled_at: str | None
    last_sign_in_at: str | None


class AdminsData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[AdminData, ...]
    next_cursor: str | None


class AdminMadeData(msgspec.Struct, frozen=True):
    """``password``: the random one, shown this once; null where it was given."""

    admin: AdminData
    password: str | None


class AdminSessionsEnded(msgspec.Struct, frozen=True):
    ended: int


def wire(admin: managing.Listed) -> dict[str, Any]:
    return {
        "id": admin.id,
        "username": admin.username,
        "secondFactor": bool(admin.has_second_factor),
        "createdAt": when(admin.created_at),
        "disabledAt": when(admin.disabled_at) if admin.disabled_at else None,
        "lastSignInAt": when(admin.last_sign_in_at) if admin.last_sign_in_at else None,
    }


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: SystemUnit) -> lists.Rows[managing.Listed]:
        return lists.read(
            unit,
            managing.LISTING,
            Asked(page.first, page.after, asked.sort),
            Filters(asked.state).search(page.q.casefold()),
            value_of=lambda admin, _sort: admin.username.casefold(),
        )

    found = await ctx.services.store.read(work)
    return ok({"items": [wire(a) for a in found.items], "nextCursor": found.next_cursor})


async def _get(ctx: RequestContext, call: Call[None]) -> Answer:
    admin_id = call.id("admin")
    return ok(wire(await ctx.services.store.read(lambda unit: managing.get_listed(unit, admin_id))))


async def _create(ctx: RequestContext, call: Call[AdminBody]) -> Answer:
    body, services = call.body, ctx.services
    made = services.random.text(_PASSWORD_BYTES) if body.password is UNSET else None
    if made is None:
        password_rules.check(str(body.password), PasswordRules(), (body.username,))
    stored = await services.hasher.hash(made or str(body.password))

    def work(unit: SystemUnit) -> managing.Listed:
        managing.acting(unit, ctx)
        admin_id = admins.create(unit, body.username, stored, ctx.now)
        audit.record_installation(unit, ctx, Event.ADMIN_CREATED, f"admin:{admin_id}", name=body.username)
        return managing.get_listed(unit, admin_id)

    return ok({"admin": wire(await services.store.write(work)), "password": made}, status=201)


async def _disable(ctx: RequestContext, call: Call[None]) -> Answer:
    admin_id = call.id("admin")

    def work(unit: SystemUnit) -> managing.Listed:
        ended = managing.disable(unit, ctx, admin_id)
        detail = {"before": {"disabled": False}, "after": {"disabled": True}, "sessions_ended": ended}
        audit.record_installation(unit, ctx, Event.ADMIN_DISABLED, f"admin:{admin_id}", **detail)
        return managing.get_listed(unit, admin_id)

    return ok(wire(await ctx.services.store.write(work)))


async def _enable(ctx: RequestContext, call: Call[None]) -> Answer:
    admin_id = call.id("admin")

    def work(unit: SystemUnit) -> managing.Listed:
        managing.enable(unit, managing.managed(unit, ctx, admin_id))
        detail = {"before": {"disabled": True}, "after": {"disabled": False}}
        audit.record_installation(unit, ctx, Event.ADMIN_ENABLED, f"admin:{admin_id}", **detail)
        return managing.get_listed(unit, admin_id)

    return ok(wire(await ctx.services.store.write(work)))


async def _reset_password(ctx: RequestContext, call: Call[None]) -> Answer:
    admin_id, services = call.id("admin"), ctx.services
    await services.store.read(lambda unit: managing.get_listed(unit, admin_id))
    made = services.random.text(_PASSWORD_BYTES)
    stored = await services.hasher.hash(made)

    def work(unit: SystemUnit) -> managing.Listed:
        managing.managed(unit, ctx, admin_id, own="Nobody resets their own password; change it with the current one")
        managing.set_password(unit, admin_id, stored)
        ended = managing.end_all(unit, admin_id, "admin_password_reset", ctx.now)
        audit.record_installation(unit, ctx, Event.ADMIN_PASSWORD_RESET, f"admin:{admin_id}", sessions_ended=ended)
        return managing.get_listed(unit, admin_id)

    return ok({"admin": wire(await services.store.write(work)), "password": made})


async def _reset_second_factor(ctx: RequestContext, call: Call[None]) -> Answer:
    admin_id = call.id("admin")

    def work(unit: SystemUnit) -> managing.Listed:
        managing.managed(unit, ctx, admin_id, own="Nobody resets their own second factor; remove it with a code")
        if not second_factor.remove(unit, admin_id):
            raise Conflict("The system admin has no second factor")
        ended = managing.end_all(unit, admin_id, "second_factor_removed", ctx.now)
        audit.record_installation(unit, ctx, Event.SECOND_FACTOR_REMOVED, f"admin:{admin_id}", sessions_ended=ended)
        return managing.get_listed(unit, admin_id)

    return ok(wire(await ctx.services.store.write(work)))


async def _end_sessions(ctx: RequestContext, call: Call[None]) -> Answer:
    admin_id = call.id("admin")

    def work(unit: SystemUnit) -> int:
        managing.managed(unit, ctx, admin_id)
        ended = managing.end_all(unit, admin_id, "ended", ctx.now)
        audit.record_installation(unit, ctx, Event.SIGNED_OUT_ALL, f"admin:{admin_id}", sessions=ended)
        return ended

    return ok({"ended": await ctx.services.store.write(work)})


_BASE = "/api/admin/admins"
_ONE = f"{_BASE}/{{admin}}"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "List and search system admins", None, AdminsData, paged=True,
          query=AdminsQuery),
    Route("POST", _BASE, _create, Access.ADMIN, "Create a system admin", AdminBody, AdminMadeData, status=201,
          refusals=(Conflict, Overloaded)),
    Route("GET", _ONE, _get, Access.ADMIN, "One system admin", None, AdminData, refusals=(NotFound,)),
    Route("POST", f"{_ONE}/disable", _disable, Access.ADMIN,
          "Keep a system admin out and end the sessions; the last active one stays", None, AdminData,
          refusals=(NotFound, Conflict)),
    Route("POST", f"{_ONE}/enable", _enable, Access.ADMIN, "Let a disabled system admin in again", None, AdminData,
          refusals=(NotFound, Conflict)),
    Route("POST", f"{_ONE}/reset-password", _reset_password, Access.ADMIN,
          "A new random password, shown once, for another system admin; ends the sessions", None, AdminMadeData,
          refusals=(NotFound, Conflict, Overloaded)),
    Route("POST", f"{_ONE}/reset-second-factor", _reset_second_factor, Access.ADMIN,
          "Take the second factor from another system admin; ends the sessions", None, AdminData,
          refusals=(NotFound, Conflict)),
    Route("DELETE", f"{_ONE}/sessions", _end_sessions, Access.ADMIN, "End all sessions of a system admin", None,
          AdminSessionsEnded, refusals=(NotFound,)),
)  # fmt: skip
