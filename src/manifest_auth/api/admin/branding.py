"""``…/branding``: a client's branding, for system admins and for users who manage the client's settings."""

from __future__ import annotations

from collections.abc import AsyncIterator

from manifest_auth import tenants
from manifest_auth.api.admin import client_scope
from manifest_auth.errors import (
    Forbidden,
    NotFound,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationError,
)
from manifest_auth.http import Access, Call, Route, Wire
from manifest_auth.operations import branding
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants.png import MOST_BYTES


class BrandData(Wire, frozen=True):
    """``name``: as pages show it. ``logo``, with its size in pixels, and ``stylesheet``: addresses below the public
    one, null where there is none; they change with their content."""

    name: str
    logo: str | None
    width: int
    height: int
    stylesheet: str | None


def _data(unit: TenantUnit) -> BrandData:
    return BrandData.of(branding.brand_of(unit, tenants.get(unit, unit.tenant_id)))


async def _read(ctx: RequestContext, call: Call[None]) -> BrandData:
    return await client_scope.read(ctx, call, _data)


async def _put(ctx: RequestContext, call: Call[AsyncIterator[bytes]]) -> BrandData:
    if (call.head.content_type or "").strip().lower() != "image/png":
        raise UnsupportedMediaType("A logo is image/png")
    if call.head.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("Content-Encoding is not supported")
    data = b"".join([part async for part in call.body])

    def work(unit: TenantUnit) -> BrandData:
        branding.put_logo(unit, ctx, data)
        return _data(unit)

    return await client_scope.write(ctx, call, work)


async def _drop(ctx: RequestContext, call: Call[None]) -> BrandData:
    def work(unit: TenantUnit) -> BrandData:
        branding.drop_logo(unit, ctx)
        return _data(unit)

    return await client_scope.write(ctx, call, work)


def _routes(path: str, access: Access) -> tuple[Route, ...]:
    refusals = (NotFound, Forbidden) if access is Access.CLIENT else (NotFound,)
    logo = f"{path}/logo"
    return (
        Route("GET", path, _read, access, "Get a client's branding", refusals=refusals),
        Route("PUT", logo, _put, access, "Set a client's logo; the body is the PNG", streams=True, takes=("image/png",),
              limit=MOST_BYTES, refusals=(*refusals, ValidationError, PayloadTooLarge, UnsupportedMediaType)),
        Route("DELETE", logo, _drop, access, "Delete a client's logo", refusals=refusals),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/branding", Permission.SETTINGS_MANAGE)
