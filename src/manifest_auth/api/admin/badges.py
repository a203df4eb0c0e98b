"""Routes for the badges and PINs of users, for system admins and for the client's own Admin and User Admin.

What a badge shows, and a temporary PIN, is in the answer to the request that makes it, and in no other.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts import badges
from manifest_auth.accounts.badges import Badge, NewBadge, Overview
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.errors import Conflict, Forbidden, NotFound, Overloaded
from manifest_auth.http import AUTH_LIMIT, Access, Call, Paging, Route, Time, Wire
from manifest_auth.operations.reset_badge_pin import reset_badge_pin
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.text import scan_codes
from manifest_auth.text.canonical import when

Kind = Annotated[
    Literal["standard", "temporary"],
    Meta(description="`standard`: for 365 days, `temporary`: for 12 hours beside it; a user has one of each."),
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


class BadgePinData(Wire, frozen=True):
    """``temporaryUntil``: when a PIN ends that a manager gave, or that replaced such a PIN at a device; it works only
    with a temporary badge. Null for a PIN that the user set in the account. ``deadAt``: since when it signs no one in,
    after ten wrong ones in a row."""

    set_at: Time
    temporary_until: Time | None
    dead_at: Time | None


class BadgesData(Wire, frozen=True):
    """``items``: live badges; ``pin``: null where there is none."""

    items: tuple[BadgeData, ...]
    next_cursor: str | None
    pin: BadgePinData | None


class NewBadgeData(Wire, frozen=True):
    """``badge``: what it shows, and ``qr`` the same as SVG. Returned once."""

    id: str
    kind: str
    ends_at: Time
    badge: str
    qr: str


class TemporaryPinData(Wire, frozen=True):
    """``pin``: the next sign-in replaces it. Returned once."""

    pin: str
    ends_at: Time


async def _list(ctx: RequestContext, call: Call[None]) -> BadgesData:
    user_id = call.id("user")
    found: Overview = await client_scope.read(ctx, call, lambda own: badges.look(own, ctx, user_id))
    pin = None if found.pin is None else BadgePinData.of(found.pin)
    return BadgesData(*lists.part(found.badges, BadgeData.of, call.parameters, "badges", _place), pin)


def _place(badge: Badge) -> tuple[int, str]:
    return badge.issued_at, badge.id


async def _issue(ctx: RequestContext, call: Call[NewBadgeBody]) -> NewBadgeData:
    user_id, kind, tools = call.id("user"), call.body.kind, ctx.services.account_tools
    made: NewBadge = await client_scope.write(ctx, call, lambda own: badges.issue_badge(own, ctx, tools, user_id, kind))
    drawn = await scan_codes.qr_svg(made.text, "QR code of the badge")
    return NewBadgeData(made.badge.id, kind, when(made.badge.ends_at), made.text, drawn)


async def _end(ctx: RequestContext, call: Call[None]) -> Deleted:
    user_id, badge_id = call.id("user"), call.path["badge"]
    await client_scope.write(ctx, call, lambda own: badges.end_badge(own, ctx, user_id, badge_id))
    return Deleted()


async def _reset_pin(ctx: RequestContext, call: Call[None]) -> TemporaryPinData:
    tenant_id = await client_scope.read(ctx, call, lambda own: own.tenant_id)
    made = await reset_badge_pin(ctx, ctx.services.store.of(tenant_id), call.id("user"))
    return TemporaryPinData(made.pin, when(made.ends_at))


def _routes(base: str, access: Access) -> tuple[Route, ...]:
    found = (NotFound, Forbidden) if access is Access.CLIENT else (NotFound,)
    changed = (*found, Conflict)
    return (
        Route("GET", f"{base}/badges", _list, access, "A user's badges and PIN", query=Paging, refusals=found),
        Route("POST", f"{base}/badges", _issue, access, "Issue a badge; what it shows is returned once", status=201,
              limit=AUTH_LIMIT, refusals=changed),
        Route("DELETE", f"{base}/badges/{{badge}}", _end, access, "End a badge, and the user's sessions by badge",
              refusals=found),
        Route("POST", f"{base}/badge-pin", _reset_pin, access, "Give a user a temporary PIN; it is returned once",
              status=201, refusals=(*changed, Overloaded)),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/users/{user}", Permission.USERS_MANAGE)
