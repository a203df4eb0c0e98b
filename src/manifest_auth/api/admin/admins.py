"""``/api/admin/admins``: system admins create, list, disable, enable and reset each other.

The last active one cannot be disabled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts.admins import management
from manifest_auth.accounts.admins.management import AdminData
from manifest_auth.api.admin import lists
from manifest_auth.errors import Conflict, NotFound, Overloaded
from manifest_auth.http import Access, Call, Items, Route, Wire, or_none
from manifest_auth.maintenance import system_admins
from manifest_auth.maintenance.system_admins import AdminMadeData
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.text import fields


class AdminBody(msgspec.Struct, frozen=True):
    username: Annotated[str, fields.USERNAME.meta]
    password: (
        Annotated[fields.Password, Meta(description="Left out: a random one is made and returned once.")] | UnsetType
    ) = UNSET


class AdminSessionsEnded(Wire, frozen=True):
    ended: int


async def _list(ctx: RequestContext, call: Call[None]) -> Items[AdminData]:
    asked = call.parameters
    filters = Filters(asked.state).search(asked.q.casefold())
    return await ctx.services.store.read(
        lambda unit: lists.page(AdminData.of, unit, management.LISTING, asked, filters)
    )


async def _get(ctx: RequestContext, call: Call[None]) -> AdminData:
    admin_id = call.id("admin")
    return AdminData.of(await ctx.services.store.read(lambda unit: management.get_listed(unit, admin_id)))


async def _create(ctx: RequestContext, call: Call[AdminBody]) -> AdminMadeData:
    return await system_admins.create(ctx, call.body.username, or_none(call.body.password))


async def _write(
    ctx: RequestContext, call: Call[None], act: Callable[[SystemUnit, RequestContext, int], None]
) -> AdminData:
    """Runs ``act`` on the admin of the path; the admin afterwards."""
    admin_id = call.id("admin")

    def work(unit: SystemUnit) -> management.AdminRow:
        act(unit, ctx, admin_id)
        return management.get_listed(unit, admin_id)

    return AdminData.of(await ctx.services.store.write(work))


async def _disable(ctx: RequestContext, call: Call[None]) -> AdminData:
    return await _write(ctx, call, management.disable)


async def _enable(ctx: RequestContext, call: Call[None]) -> AdminData:
    return await _write(
        ctx, call, lambda unit, ctx, admin: management.enable(unit, ctx, management.get_managed(unit, ctx, admin))
    )


async def _reset_password(ctx: RequestContext, call: Call[None]) -> AdminMadeData:
    return await system_admins.reset_password(ctx, call.id("admin"))


async def _reset_second_factor(ctx: RequestContext, call: Call[None]) -> AdminData:
    return await _write(ctx, call, management.reset_second_factor)


async def _end_sessions(ctx: RequestContext, call: Call[None]) -> AdminSessionsEnded:
    admin_id = call.id("admin")
    return AdminSessionsEnded(await ctx.services.store.write(lambda unit: management.sign_out_all(unit, ctx, admin_id)))


_BASE = "/api/admin/admins"
_ONE = f"{_BASE}/{{admin}}"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "List and search system admins",
          query=lists.query(management.LISTING.sorts, "ID", state=("active", "disabled"))),
    Route("POST", _BASE, _create, Access.ADMIN, "Create a system admin", status=201, refusals=(Conflict, Overloaded)),
    Route("GET", _ONE, _get, Access.ADMIN, "One system admin", refusals=(NotFound,)),
    Route("POST", f"{_ONE}/disable", _disable, Access.ADMIN,
          "Disable a system admin and end the sessions; the last active one stays enabled",
          refusals=(NotFound, Conflict)),
    Route("POST", f"{_ONE}/enable", _enable, Access.ADMIN, "Enable a disabled system admin again",
          refusals=(NotFound, Conflict)),
    Route("POST", f"{_ONE}/reset-password", _reset_password, Access.ADMIN,
          "A new random password, returned once, for another system admin; ends the sessions",
          refusals=(NotFound, Conflict, Overloaded)),
    Route("POST", f"{_ONE}/reset-second-factor", _reset_second_factor, Access.ADMIN,
          "Take the second factor from another system admin; ends the sessions", refusals=(NotFound, Conflict)),
    Route("DELETE", f"{_ONE}/sessions", _end_sessions, Access.ADMIN, "End all sessions of a system admin",
          refusals=(NotFound,)),
)  # fmt: skip
