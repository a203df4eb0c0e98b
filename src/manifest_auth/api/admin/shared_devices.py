"""Routes for devices that belong to a client, and for the codes with which they are enrolled.

System admins call them under ``/api/admin/clients/{client}/devices``, the client's own Admin and User Admin under
``/api/client/devices``. A code is in the answer to the request that makes it, and in no other.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts import shared_devices
from manifest_auth.accounts.shared_devices import Enrolment, NewEnrolment, seen_after
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import AUTH_LIMIT, Access, Call, Items, Page, Paging, Route, Time, Wire
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters
from manifest_auth.text import fields, scan_codes
from manifest_auth.text.canonical import when

Place = Annotated[str, fields.PLACE.meta]


class EnrolmentBody(msgspec.Struct, frozen=True):
    """``place``: where the device stands."""

    name: Annotated[str, fields.SHARED_DEVICE_NAME.meta]
    place: Place = ""


class SharedDevicesQuery(Page, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ENROLLED", "ENROLLED_DESC"], Meta(description="Order.")] = "ENROLLED_DESC"


class SharedDeviceData(Wire, frozen=True):
    id: str
    name: str
    place: str
    enrolled_at: Time
    enrolled_by: str
    seen_at: Time


class SharedDevicesData(Items[SharedDeviceData], frozen=True): ...


class EnrolmentData(Wire, frozen=True):
    id: str
    name: str
    place: str
    created_at: Time
    created_by: str
    expires_at: Time


class EnrolmentsData(Items[EnrolmentData], frozen=True): ...


class NewEnrolmentData(Wire, frozen=True):
    """``code``: to scan, ``qr``: the same as SVG; ``typed``: letters in its place, which need the client's identifier
    in `X-Client-ID`. Returned once."""

    id: str
    code: str
    qr: str
    typed: str
    expires_at: Time


async def _list(ctx: RequestContext, call: Call[None]) -> SharedDevicesData:
    asked: SharedDevicesQuery = call.parameters
    filters = Filters(seen_after=seen_after(ctx.now)).search(asked.q)
    listing = shared_devices.LISTING
    return await client_scope.read(
        ctx, call, lambda own: lists.page(SharedDevicesData, SharedDeviceData.of, own, listing, asked, filters)
    )


async def _remove(ctx: RequestContext, call: Call[None]) -> Deleted:
    await client_scope.write(ctx, call, lambda own: shared_devices.remove(own, ctx, call.path["device"]))
    return Deleted()


async def _enrolments(ctx: RequestContext, call: Call[None]) -> EnrolmentsData:
    found = await client_scope.read(ctx, call, lambda own: shared_devices.list_enrolments(own, ctx.now))
    return EnrolmentsData(*lists.part(found, EnrolmentData.of, call.parameters, "device_enrolments", _place))


def _place(enrolment: Enrolment) -> tuple[int, str]:
    return enrolment.created_at, enrolment.id


async def _begin(ctx: RequestContext, call: Call[EnrolmentBody]) -> NewEnrolmentData:
    body, random = call.body, ctx.services.random
    made: NewEnrolment = await client_scope.write(
        ctx, call, lambda own: shared_devices.begin_enrolment(own, ctx, random, body.name, body.place)
    )
    drawn = await scan_codes.qr_svg(made.code, "QR code that enrols a device")
    return NewEnrolmentData(made.enrolment.id, made.code, drawn, made.letters, when(made.enrolment.expires_at))


async def _drop(ctx: RequestContext, call: Call[None]) -> Deleted:
    await client_scope.write(ctx, call, lambda own: shared_devices.drop_enrolment(own, ctx, call.path["enrolment"]))
    return Deleted()


def _routes(base: str, access: Access) -> tuple[Route, ...]:
    codes = f"{base}/enrolments"  # before the devices, whose ids stand in the same place
    return (
        Route("GET", codes, _enrolments, access, "Codes that still enrol a device", query=Paging,
              refusals=(NotFound,)),
        Route("POST", codes, _begin, access, "A code that enrols one device within ten minutes; it is returned once",
              status=201, limit=AUTH_LIMIT, refusals=(NotFound, Conflict)),
        Route("DELETE", f"{codes}/{{enrolment}}", _drop, access, "Take a code back", refusals=(NotFound,)),
        Route("GET", base, _list, access, "A client's enrolled devices", query=SharedDevicesQuery,
              refusals=(NotFound,)),
        Route("DELETE", f"{base}/{{device}}", _remove, access, "Remove a device; ends its session",
              refusals=(NotFound,)),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/devices", Permission.SETTINGS_MANAGE)
