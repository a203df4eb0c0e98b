"""The trail on the wire: members, filters and cursors; ``/api/client/audit`` for whoever holds ``audit:read``."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.audit import Event
from manifest_auth.context import Context
from manifest_auth.errors import ValidationError
from manifest_auth.permissions import Permission
from manifest_auth.text import moment
from manifest_auth.trail.exporting import members
from manifest_auth.trail.reading import Found, Place, Wanted, page
from manifest_auth.web import Answer, Call, Door, Route, ok

Text = Annotated[str, Meta(max_length=100)]
Time = Annotated[str, Meta(max_length=40, description="Like `2026-01-31T09:30:00Z`.")]


class AuditQuery(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """All that are given must hold. ``from`` is part of the time, ``to`` is not."""

    first: Annotated[int, Meta(ge=1, le=100, description="Events in a page, at most.")] = 50
    after: Annotated[str, Meta(max_length=200, description="`nextCursor` of the page before.")] = ""
    order: Annotated[Literal["newest", "oldest"], Meta(description="Which come first.")] = "newest"
    event: Event | UnsetType = UNSET
    actor: Annotated[Text, Meta(description="Who acted: `user:7`, `admin:1`, `anonymous`, `system`.")] = ""
    subject: Annotated[Text, Meta(description="Whom it concerns, like `user:7`.")] = ""
    since: Time = ""
    until: Time = ""


class AuditEventData(msgspec.Struct, frozen=True, rename="camel"):
    """``client``: null for the installation's own events. ``sequence``: the number in that client's chain; ``hash``:
    covers the event and, by the hash before it, all earlier ones."""

    client: str | None
    sequence: int
    at: str
    event: str
    actor: str
    subject: str
    address: str
    request_id: str
    detail: dict[str, Any]
    hash: str


class AuditEventsData(msgspec.Struct, frozen=True, rename="camel"):
    """A page may hold fewer than asked for, or none, while there are more: it is the last when ``nextCursor`` is
    null."""

    items: tuple[AuditEventData, ...]
    next_cursor: str | None


def wanted(query: AuditQuery) -> Wanted:
    """Raises ValidationError."""
    times = {}
    if query.since:
        times["since"] = moment(query.since, "from")
    if query.until:
        times["until"] = moment(query.until, "to")
    event = "" if isinstance(query.event, UnsetType) else query.event.value
    return Wanted(event, query.actor, query.subject, order=query.order, **times)


def wire(found: list[Found], goes_on: Place | None, order: str) -> dict[str, Any]:
    """A page as JSON."""
    return {"items": [members(one.client, one.link) for one in found], "nextCursor": cursor(goes_on, order)}


def cursor(place: Place | None, order: str) -> str | None:
    """Opaque to callers."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(orjson.dumps([order, *place])).decode().rstrip("=")


def place_of(text: str, order: str) -> Place | None:
    """Where a page begins. Raises ValidationError for what is no cursor of this order."""
    if not text:
        return None
    try:
        found = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        given, at, chain, sequence = found
    except (ValueError, TypeError, binascii.Error):
        given, at, chain, sequence = "", None, None, None
    numbers = (at, chain, sequence)
    if given != order or not all(type(number) is int and -(2**63) <= number < 2**63 for number in numbers):
        raise ValidationError(details=[("after", "Not a cursor of this list and order")])
    return Place(*numbers)


async def _list(ctx: Context, call: Call[None]) -> Answer:
    query: AuditQuery = call.parameters
    asked = wanted(query)
    found, goes_on = await page(ctx.store, asked, query.first, place_of(query.after, query.order))
    return ok(wire(found, goes_on, query.order))


ROUTES = (
    Route("GET", "/api/client/audit", _list, Door.CLIENT, "The audit trail of one's client", None, AuditEventsData,
          permission=Permission.AUDIT_READ, query=AuditQuery, refusals=(ValidationError,)),
)  # fmt: skip
