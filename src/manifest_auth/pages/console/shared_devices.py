"""``/console/devices/shared``: devices that belong to the client, and codes with which new ones are enrolled."""

from __future__ import annotations

import contextlib
from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.accounts import shared_devices
from manifest_auth.accounts.shared_devices import NewEnrolment, SharedDevice
from manifest_auth.accounts.shared_devices.device_rows import seen_after
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import qr, said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.scan_codes import grouped_letters

PATH = "/console/devices/shared"
DONE = {"removed": "The device is removed, and its session has ended.", "dropped": "The code works no more."}
_ON_A_PAGE = 50


class DevicesQuery(msgspec.Struct, frozen=True):
    """``q``: what a device's name or place contains; ``after``: the cursor of the page before."""

    q: Annotated[str, Meta(max_length=200)] = ""
    after: Annotated[str, Meta(max_length=4096)] = ""


class DevicesForm(msgspec.Struct, frozen=True):
    """``act``: ``enrol``, ``remove`` or ``drop``; ``id``: of the device or the code that it is about."""

    act: str = ""
    id: fields.TypedToken = ""
    name: Annotated[str, Meta(max_length=200)] = ""
    place: Annotated[str, Meta(max_length=200)] = ""


class Code(msgspec.Struct, frozen=True):
    """A new code, shown this once. ``typed``: letters in groups; ``qr``: markup. Time in milliseconds."""

    name: str
    place: str
    qr: str
    typed: str
    expires_at: int


class Row(msgspec.Struct, frozen=True):
    """A device, or a code that still works: then ``at`` is when it ends. Times in milliseconds."""

    id: str
    name: str
    place: str
    at: int
    seen_at: int = 0


class DevicesView(msgspec.Struct, frozen=True, kw_only=True):
    """``is_on``: the client's rules let people sign in with a badge; ``next``, ``first``: addresses, empty for none."""

    client: str
    is_on: bool
    devices: tuple[Row, ...]
    codes: tuple[Row, ...]
    typed: DevicesForm
    q: str = ""
    first: str = ""
    next: str = ""
    done: str = ""
    code: Code | None = None


async def _show(ctx: RequestContext, call: PageCall[DevicesQuery]) -> View | Answer[None]:
    return await _view(ctx, call.fields, done=said.sentence(ctx, call, DONE))


async def _again(ctx: RequestContext, call: PageCall[DevicesForm]) -> View | Answer[None]:
    return await _view(ctx, DevicesQuery(), typed=call.fields)


async def _view(
    ctx: RequestContext,
    asked: DevicesQuery,
    *,
    typed: DevicesForm | None = None,
    done: str = "",
    code: Code | None = None,
) -> View:
    def work(unit: TenantUnit) -> DevicesView:
        filters = Filters(seen_after=seen_after(ctx.now)).search(asked.q.strip())
        rows, cursor = shared_devices.LISTING.read(unit, _ON_A_PAGE, asked.after, "ENROLLED_DESC", filters)
        return DevicesView(
            client=ctx.user.client,
            is_on=tenants.settings_of(tenants.get(unit, unit.tenant_id).settings).badge.enabled,
            devices=tuple(map(_row, rows)),
            codes=tuple(
                Row(one.id, one.name, one.place, one.expires_at)
                for one in shared_devices.list_enrolments(unit, ctx.now)
            ),
            typed=typed or DevicesForm(),
            q=asked.q,
            first=frame.address(PATH, q=asked.q) if asked.after else "",
            next=frame.address(PATH, q=asked.q, after=cursor) if cursor else "",
            done=done,
            code=code,
        )

    return await frame.shown(ctx, work)


def _row(one: SharedDevice) -> Row:
    return Row(one.id, one.name, one.place, one.enrolled_at, one.seen_at)


async def _act(ctx: RequestContext, call: PageCall[DevicesForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "enrol":
        return await _view(ctx, DevicesQuery(), code=await _enrol(ctx, form))  # shown once: no redirect comes before
    if form.act not in ("remove", "drop"):
        raise ValidationError(reason="no such act")
    end = shared_devices.remove if form.act == "remove" else shared_devices.drop_enrolment
    with contextlib.suppress(NotFound):  # the button was pressed twice
        await ctx.store.write(lambda unit: end(unit, ctx, form.id))
    return said.after(ctx, PATH, "removed" if form.act == "remove" else "dropped")


async def _enrol(ctx: RequestContext, form: DevicesForm) -> Code:
    name, place, random = form.name.strip(), form.place.strip(), ctx.services.random

    def work(unit: TenantUnit) -> NewEnrolment:
        return shared_devices.begin_enrolment(unit, ctx, random, name, place)

    made = await ctx.store.write(work)
    drawn = await qr.code(made.code, "QR code that enrols the device")
    return Code(name, place, drawn, grouped_letters(made.letters, 5), made.enrolment.expires_at)


_TEMPLATE = "console/shared_devices.html"
ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "Devices of the client", audience=Audience.SIGNED_IN,
         permission=Permission.SETTINGS_MANAGE, english=True),
    page("POST", PATH, _act, _TEMPLATE, "Enrol or remove a device", audience=Audience.SIGNED_IN,
         permission=Permission.SETTINGS_MANAGE, english=True, again=_again),
)  # fmt: skip
