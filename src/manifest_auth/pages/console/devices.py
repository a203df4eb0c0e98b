"""``/console/devices``: devices that belong to the client, and badges."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.accounts import badges, shared_devices, users
from manifest_auth.accounts.badges import NewBadge
from manifest_auth.accounts.shared_devices import NewEnrolment, seen_after
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, rendering
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import settings_page, users_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.badge import TemporaryPinData, reset_badge_pin
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

BADGE_PATH = "/console/users/{id}/badge"
BADGE_DONE = {"ended": _("Badge revoked. Its sessions ended.")}
_PRINT = "console/badge_print.html"


class BadgeForm(msgspec.Struct, frozen=True):
    """The form of a user's badges. ``act``: ``standard`` or ``temporary`` issues one, ``end``, ``pin``; ``id``: the
    badge to end."""

    act: str = ""
    id: fields.TypedToken = ""


class ShownBadge(msgspec.Struct, frozen=True):
    """A secret that is shown once: a new ``badge`` to print, or a temporary ``pin``."""

    badge: NewBadge | None = None
    pin: TemporaryPinData | None = None


async def _show_badge(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    user_id, shown = frame.number_in(call), call.shown_as(ShownBadge)
    if shown is not None and shown.badge is not None:
        return await _print_view(ctx, call, user_id, shown.badge)
    return await _badge_view(ctx, user_id, made=shown.pin if shown is not None else None)


async def _badge_view(ctx: RequestContext, user_id: int, *, made: TemporaryPinData | None = None) -> View:
    def work(unit: TenantUnit) -> SimpleNamespace:
        found, user = badges.look(unit, ctx, user_id), users.get(unit, user_id)
        return SimpleNamespace(
            path=BADGE_PATH.format(id=user.id),
            user_path=f"/console/users/{user.id}",
            name=user.full_name or user.email,
            why_not=found.why_not,
            badges=found.badges,
            own_pin=found.pin,
            made=made,
        )

    return await brands.shown(ctx, work)


async def _act_badge(ctx: RequestContext, call: PageCall[BadgeForm]) -> View | Answer[None]:
    user_id, form = frame.number_in(call), call.fields
    path = BADGE_PATH.format(id=user_id)
    if form.act in ("standard", "temporary"):
        kind: Literal["standard", "temporary"] = "temporary" if form.act == "temporary" else "standard"
        made = await ctx.store.write(lambda unit: badges.issue_badge(unit, ctx, user_id, kind))
        return call.show_once(path, ShownBadge(badge=made))
    if form.act == "pin":
        return call.show_once(path, ShownBadge(pin=await reset_badge_pin(ctx, ctx.store, user_id)))
    if form.act != "end":
        raise ValidationError(reason="unknown action")
    with contextlib.suppress(NotFound):  # the button was pressed twice
        await ctx.store.write(lambda unit: badges.end_badge(unit, ctx, user_id, form.id))
    return flash.after(ctx, path, "ended")


async def _print_view(ctx: RequestContext, call: PageCall[None], user_id: int, made: NewBadge) -> View:
    drawn = await rendering.qr_code(made.text, _("QR code of the badge"), call.language)
    back = BADGE_PATH.format(id=user_id)
    return brands.own_page(ctx, _PRINT, back=back, kind=made.badge.kind, ends_at=made.badge.ends_at, code=drawn)


_BADGE_TEMPLATE = "console/badge.html"


DEVICES_PATH = "/console/devices"
DEVICES_DONE = {"removed": _("Device removed. Its session ended."), "dropped": _("Enrollment code revoked.")}
_ON_A_PAGE = 50


class DevicesForm(msgspec.Struct, frozen=True):
    """The form of the page. ``act``: ``enrol``, ``remove``, or ``drop``; ``id``: the device or the code."""

    act: str = ""
    id: fields.TypedToken = ""
    name: Annotated[str, Meta(max_length=200)] = ""
    place: Annotated[str, Meta(max_length=200)] = ""


async def _show_devices(ctx: RequestContext, call: PageCall[frame.ListQuery]) -> View | Answer[None]:
    new = call.shown_as(NewEnrolment)
    title = _("QR code to enroll the device")
    drawn = await rendering.qr_code(new.code, title, call.language) if new is not None else ""
    return await _devices_view(ctx, call.fields, new=new, qr=drawn)


async def _again_devices(ctx: RequestContext, call: PageCall[DevicesForm]) -> View | Answer[None]:
    return await _devices_view(ctx, frame.ListQuery(), typed=call.fields)


async def _devices_view(
    ctx: RequestContext,
    asked: frame.ListQuery,
    *,
    typed: DevicesForm | None = None,
    new: NewEnrolment | None = None,
    qr: str = "",
) -> View:
    def work(unit: TenantUnit) -> SimpleNamespace:
        filters = Filters(seen_after=seen_after(ctx.now)).search(asked.q.strip())
        rows, cursor = shared_devices.LISTING.read(unit, _ON_A_PAGE, asked.after, "ENROLLED_DESC", filters)
        return SimpleNamespace(
            client=ctx.user.client,
            is_on=tenants.settings_of(tenants.get(unit, unit.tenant_id).settings).badge.enabled,
            devices=rows,
            codes=shared_devices.list_enrolments(unit, ctx.now),
            typed=typed or DevicesForm(),
            q=asked.q,
            first=frame.address(DEVICES_PATH, q=asked.q) if asked.after else "",
            next=frame.address(DEVICES_PATH, q=asked.q, after=cursor) if cursor else "",
            new=new,
            qr=qr,
        )

    return await brands.shown(ctx, work)


async def _act_devices(ctx: RequestContext, call: PageCall[DevicesForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "enrol":
        return call.show_once(DEVICES_PATH, await _enrol(ctx, form))
    if form.act not in ("remove", "drop"):
        raise ValidationError(reason="unknown action")
    end = shared_devices.remove if form.act == "remove" else shared_devices.drop_enrolment
    with contextlib.suppress(NotFound):  # the button was pressed twice
        await ctx.store.write(lambda unit: end(unit, ctx, form.id))
    return flash.after(ctx, DEVICES_PATH, "removed" if form.act == "remove" else "dropped")


async def _enrol(ctx: RequestContext, form: DevicesForm) -> NewEnrolment:
    name, place, random = form.name.strip(), form.place.strip(), ctx.services.random

    return await ctx.store.write(lambda unit: shared_devices.begin_enrolment(unit, ctx, random, name, place))


_DEVICES_TEMPLATE = "console/devices.html"


ROUTES = (
    users_page("GET", BADGE_PATH, _show_badge, _BADGE_TEMPLATE, "Get a user's badges and PIN", said=BADGE_DONE),
    users_page("POST", BADGE_PATH, _act_badge, _BADGE_TEMPLATE, "Issue or end a badge, or give a temporary PIN"),
    settings_page(
        "GET", DEVICES_PATH, _show_devices, _DEVICES_TEMPLATE, "Shared devices of the client", said=DEVICES_DONE
    ),
    settings_page(
        "POST", DEVICES_PATH, _act_devices, _DEVICES_TEMPLATE, "Enroll or remove a device", again=_again_devices
    ),
)
