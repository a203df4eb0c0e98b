"""Routes for shared devices, and for badges and PINs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts import badges, shared_devices
from manifest_auth.accounts.badges import BadgePinData, NewBadge
from manifest_auth.accounts.shared_devices import EnrolmentData, NewEnrolment, SharedDeviceData, seen_after
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import reads, writes
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.errors import Conflict, Forbidden, NotFound, Overloaded
from manifest_auth.http import AUTH_LIMIT, Access, Call, Items, Paging, Route, Time, Who, Wire
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.badge import TemporaryPinData, reset_badge_pin
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text import fields, scan_codes
from manifest_auth.text.canonical import when

Place = Annotated[str, fields.PLACE.meta]


class EnrolmentBody(msgspec.Struct, frozen=True):
    """``place``: the device's location."""

    name: Annotated[str, fields.SHARED_DEVICE_NAME.meta]
    place: Place = ""


class NewEnrolmentData(Wire, frozen=True):
    """``code``: the content of the QR code; ``qr``: the QR code as SVG; ``typed``: letters to enter instead, which need
    the client's identifier in `X-Client-ID`. Returned once."""

    id: str
    code: str
    qr: str
    typed: str
    expires_at: Time


def _list_shared_devices(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[SharedDeviceData]:
    filters = Filters(seen_after=seen_after(ctx.now)).search(call.parameters.q)
    return lists.listed(own, shared_devices.LISTING, call.parameters, filters)


def _remove_shared_device(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Deleted:
    shared_devices.remove(own, ctx, call.path["device"])
    return Deleted()


def _enrolments(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[EnrolmentData]:
    found = shared_devices.list_enrolments(own, ctx.now)
    return lists.part(found, call.parameters, "device_enrolments", "created_at")


async def _begin(ctx: RequestContext, call: Call[EnrolmentBody]) -> NewEnrolmentData:
    body, random = call.body, ctx.services.random
    made: NewEnrolment = await client_scope.write(
        ctx, call, lambda own: shared_devices.begin_enrolment(own, ctx, random, body.name, body.place)
    )
    drawn = await scan_codes.qr_svg(made.code, "QR code to enroll the device")
    return NewEnrolmentData(made.enrolment.id, made.code, drawn, made.letters, made.enrolment.expires_at)


def _drop(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Deleted:
    shared_devices.drop_enrolment(own, ctx, call.path["enrolment"])
    return Deleted()


def _shared_device_routes(base: str, access: Who) -> tuple[Route, ...]:
    codes = f"{base}/enrolments"  # listed before the devices, whose IDs have the same position in the path
    return (
        Route("GET", codes, reads(_enrolments), access, "List valid codes that enroll a device", query=Paging,
              refusals=(NotFound,)),
        Route("POST", codes, _begin, access, "Create a code that enrolls one device within ten minutes; returned once",
              status=201, limit=AUTH_LIMIT, refusals=(NotFound, Conflict), asks=Act.DEVICES),
        Route("DELETE", f"{codes}/{{enrolment}}", writes(_drop), access, "Revoke a code", refusals=(NotFound,),
              asks=NOTHING),
        Route("GET", base, reads(_list_shared_devices), access, "List a client's shared devices",
              query=lists.query(shared_devices.LISTING.sorts, "ENROLLED_DESC"),
              refusals=(NotFound,)),
        Route("DELETE", f"{base}/{{device}}", writes(_remove_shared_device), access,
              "Remove a device; ends its session", refusals=(NotFound,), asks=NOTHING),
    )  # fmt: skip


Kind = Annotated[
    Literal["standard", "temporary"],
    Meta(
        description="`standard`: valid for 365 days. `temporary`: valid for 12 hours, in addition to the "
        "standard one. A user can have one of each."
    ),
]


class NewBadgeBody(msgspec.Struct, frozen=True):
    kind: Kind


class BadgeData(Wire, frozen=True):
    id: str
    kind: str
    issued_at: Time
    issued_by: str
    ends_at: Time
    last_used_at: Time | None


class BadgesData(Wire, frozen=True):
    """``items``: active badges; ``pin``: null if the user has none."""

    items: tuple[BadgeData, ...]
    next_cursor: str | None
    pin: BadgePinData | None


class NewBadgeData(Wire, frozen=True):
    """``badge``: the content of the badge's QR code; ``qr``: the QR code as SVG. Returned once."""

    id: str
    kind: str
    ends_at: Time
    badge: str
    qr: str


def _list_badges(ctx: RequestContext, call: Call[None], own: TenantUnit) -> BadgesData:
    found = badges.look(own, ctx, call.id("user"))
    shown = lists.part(tuple(map(BadgeData.of, found.badges)), call.parameters, "badges", "issued_at")
    return BadgesData(shown.items, shown.next_cursor, found.pin)


async def _issue(ctx: RequestContext, call: Call[NewBadgeBody]) -> NewBadgeData:
    user_id, kind = call.id("user"), call.body.kind
    made: NewBadge = await client_scope.write(ctx, call, lambda own: badges.issue_badge(own, ctx, user_id, kind))
    drawn = await scan_codes.qr_svg(made.text, "QR code of the badge")
    return NewBadgeData(made.badge.id, kind, when(made.badge.ends_at), made.text, drawn)


def _end(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Deleted:
    badges.end_badge(own, ctx, call.id("user"), call.path["badge"])
    return Deleted()


async def _reset_pin(ctx: RequestContext, call: Call[None]) -> TemporaryPinData:
    tenant_id = await client_scope.read(ctx, call, lambda own: own.tenant_id)
    return await reset_badge_pin(ctx, ctx.services.store.of(tenant_id), call.id("user"))


def _badge_routes(base: str, access: Who) -> tuple[Route, ...]:
    found = (NotFound, Forbidden) if access is not Access.ADMIN else (NotFound,)
    changed = (*found, Conflict)
    return (
        Route("GET", f"{base}/badges", reads(_list_badges), access,
              "Get a user's badges and PIN", query=Paging, refusals=found),
        Route("POST", f"{base}/badges", _issue, access, "Issue a badge; its content is returned once", status=201,
              limit=AUTH_LIMIT, refusals=changed, asks=Act.OTHERS_PASSWORDS),
        Route("DELETE", f"{base}/badges/{{badge}}", writes(_end), access,
              "End a badge, and the user's badge sessions", refusals=found, asks=NOTHING),
        Route("POST", f"{base}/badge-pin", _reset_pin, access, "Give a user a temporary PIN; it is returned once",
              status=201, refusals=(*changed, Overloaded), asks=Act.OTHERS_FACTORS),
    )  # fmt: skip


ROUTES = (
    *client_scope.for_admins_and_users(_badge_routes, "/users/{user}", Permission.USERS_MANAGE),
    *client_scope.for_admins_and_users(_shared_device_routes, "/devices", Permission.SETTINGS_MANAGE),
)
