"""The client that an administrative request is about.

Many routes exist twice with the same handlers: for system admins, who name a client in the path, and for a client's own
Admin and User Admin. If a handler only runs one unit of work of the client, write it as a function of the request, the
call, and that unit. :func:`reads` or :func:`writes` turns it into a handler.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from manifest_auth import tenants
from manifest_auth.context import AdminCaller
from manifest_auth.http import Access, Call, Route, Who
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit

P = ParamSpec("P")
B = TypeVar("B")
T = TypeVar("T")
Work = Callable[Concatenate[RequestContext, Call[B], TenantUnit, P], T]
Handler = Callable[[RequestContext, Call[B]], Awaitable[T]]
OF_CLIENT = "/api/admin/clients/{client}"


def client_of(unit: SystemUnit, ctx: RequestContext, call: Call[Any]) -> tuple[TenantUnit, str]:
    """Returns the client's unit of work and its identifier. Raises NotFound."""
    if isinstance(ctx.caller, AdminCaller):
        tenant = tenants.get_named(unit, call.path["client"])
        return unit.of(tenant.id), tenant.identifier
    return unit.of(ctx.user.tenant_id), ctx.user.client


async def read(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], T]) -> T:
    """Runs ``work`` in a read-only unit of work of the client."""
    return await ctx.services.store.read(lambda unit: work(client_of(unit, ctx, call)[0]))


async def write(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], T]) -> T:
    """Like :func:`read`, for work that writes."""
    return await ctx.services.store.write(lambda unit: work(client_of(unit, ctx, call)[0]))


def reads(work: Work[B, P, T], *args: P.args, **kwargs: P.kwargs) -> Handler[B, T]:
    """Returns the handler of a route that only reads. The other parameters are the ones that ``work`` takes besides the
    unit."""

    @functools.wraps(work)
    async def handler(ctx: RequestContext, call: Call[B]) -> T:
        return await read(ctx, call, lambda own: work(ctx, call, own, *args, **kwargs))

    return handler


def writes(work: Work[B, P, T], *args: P.args, **kwargs: P.kwargs) -> Handler[B, T]:
    """Like :func:`reads`, for work that writes."""

    @functools.wraps(work)
    async def handler(ctx: RequestContext, call: Call[B]) -> T:
        return await write(ctx, call, lambda own: work(ctx, call, own, *args, **kwargs))

    return handler


def for_admins_and_users(
    routes: Callable[[str, Who], tuple[Route, ...]], path: str, permission: Permission
) -> tuple[Route, ...]:
    """The routes below ``path``, for system admins and for the client's users who have the permission."""
    return *routes(OF_CLIENT + path, Access.ADMIN), *routes(f"/api/client{path}", permission)
