"""Routes for the apps of devices, public OAuth clients of a tenant.

System admins call them under ``/api/admin/clients/{client}/device-apps``, the client's own Admin and User Admin under
``/api/client/device-apps``.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from manifest_auth.accounts import device_apps
from manifest_auth.accounts.device_apps import DeviceApp
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.errors import Conflict, Forbidden, NotFound
from manifest_auth.http import Access, Call, Items, Paging, Route, Time, Wire
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.text import fields


class DeviceAppBody(msgspec.Struct, frozen=True):
    name: Annotated[str, fields.APP_NAME.meta]


class DeviceAppData(Wire, frozen=True):
    """``id``: the client id; ``createdAt``: null for the app that every client has."""

    id: str
    name: str
    created_at: Time | None


class DeviceAppsData(Items[DeviceAppData], frozen=True): ...


class DeviceAppRemoved(Wire, frozen=True):
    """``ended``: how many sessions of its devices."""

    ended: int


async def _list(ctx: RequestContext, call: Call[None]) -> DeviceAppsData:
    found = await client_scope.read(ctx, call, device_apps.list_all)
    return DeviceAppsData(*lists.part(found, DeviceAppData.of, call.parameters, "device_apps", _place))


def _place(app: DeviceApp) -> tuple[int, str]:
    return app.created_at or 0, app.id


async def _create(ctx: RequestContext, call: Call[DeviceAppBody]) -> DeviceAppData:
    random, name = ctx.services.random, call.body.name
    return DeviceAppData.of(await client_scope.write(ctx, call, lambda own: device_apps.create(own, ctx, random, name)))


async def _rename(ctx: RequestContext, call: Call[DeviceAppBody]) -> DeviceAppData:
    app, name = call.path["app"], call.body.name
    return DeviceAppData.of(await client_scope.write(ctx, call, lambda own: device_apps.rename(own, ctx, app, name)))


async def _remove(ctx: RequestContext, call: Call[None]) -> DeviceAppRemoved:
    app = call.path["app"]
    return DeviceAppRemoved(await client_scope.write(ctx, call, lambda own: device_apps.remove(own, ctx, app)))


def _routes(base: str, access: Access) -> tuple[Route, ...]:
    one = f"{base}/{{app}}"
    also = (NotFound, Conflict, Forbidden) if access is Access.CLIENT else (NotFound, Conflict)
    return (
        Route("GET", base, _list, access, "A client's device apps", query=Paging, refusals=(NotFound,)),
        Route("POST", base, _create, access, "Make a device app", status=201, refusals=also),
        Route("PATCH", one, _rename, access, "Give a device app another name", refusals=also),
        Route("DELETE", one, _remove, access, "Remove a device app; its devices are signed out", refusals=also),
    )


ROUTES = client_scope.for_admins_and_users(_routes, "/device-apps", Permission.SETTINGS_MANAGE)
