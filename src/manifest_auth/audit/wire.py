"""The trail on the wire: members, filters and cursors, the same for a client's people and for system admins."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.audit.events import Event
from manifest_auth.audit.exports import AuditEventData, event_data
from manifest_auth.audit.query import NEWEST_FIRST, OLDEST_FIRST, Found, Place, Wanted
from manifest_auth.audit.readable import legible
from manifest_auth.errors import ValidationError
from manifest_auth.store import cursors
from manifest_auth.text.canonical import moment

_EVENTS = frozenset(event.value for event in Event)
Text = Annotated[str, Meta(max_length=100)]
Time = Annotated[str, Meta(max_length=40, description="Like `2026-01-31T09:30:00Z`.")]


class AuditFilters(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """All that are given must hold. ``from`` is part of the time, ``to`` is not."""

    sort: Annotated[Literal["", "TIME", "TIME_DESC"], Meta(description="Order; the newest first if left out.")] = ""
    order: Annotated[Literal["", "newest", "oldest"], Meta(description="The same in words, in place of `sort`.")] = ""
    event: Annotated[Text, Meta(description="What happened, like `signed_in`.")] = ""
    actor: Annotated[Text, Meta(description="Who acted: `user:7`, `admin:1`, `anonymous`, `system`.")] = ""
    subject: Annotated[Text, Meta(description="Whom it concerns, like `user:7`.")] = ""
    user: Annotated[int, Meta(ge=0, le=2**53, description="Number of a user: who acted, or whom it concerns.")] = 0
    since: Time = ""
    until: Time = ""

    @property
    def direction(self) -> str:
        """Of :class:`Wanted`. Raises ValidationError when both words are given."""
        if self.sort and self.order:
            raise ValidationError(details=[("order", "Give sort alone")])
        return OLDEST_FIRST if self.sort == "TIME" or self.order == OLDEST_FIRST else NEWEST_FIRST


class AuditQuery(AuditFilters, frozen=True, rename={"since": "from", "until": "to"}):
    """Those of a list, which has pages."""

    first: Annotated[int, Meta(ge=1, le=100, description="Events in a page, at most.")] = 50
    after: Annotated[str, Meta(max_length=200, description="`nextCursor` of the page before.")] = ""


class AuditEventsData(msgspec.Struct, frozen=True, rename="camel"):
    """A page may hold fewer than asked for, or none, while there are more: it is the last when ``nextCursor`` is
    null."""

    items: tuple[AuditEventData, ...]
    next_cursor: str | None


def wanted(query: AuditFilters) -> Wanted:
    """Raises ValidationError."""
    times = {}
    if query.since:
        times["since"] = moment(query.since, "from")
    if query.until:
        times["until"] = moment(query.until, "to")
    user = user_named(query.user)
    return Wanted(event_named(query.event, "event"), query.actor, query.subject, user, order=query.direction, **times)


def user_named(number: int) -> str:
    """A user as events name one; 0: any."""
    return f"user:{number}" if number else ""


def event_named(name: str, field: str) -> str:
    """Raises ValidationError for what is no event; empty: any."""
    if name and name not in _EVENTS:
        raise ValidationError(details=[(field, "No such event")])
    return name


def wire(found: list[Found], goes_on: Place | None, order: str) -> AuditEventsData:
    """A page on the wire."""
    items = tuple(event_data(one.client, legible(one.link)) for one in found)
    return AuditEventsData(items, cursor(goes_on, order))


def cursor(place: Place | None, order: str) -> str | None:
    """Opaque to callers."""
    return None if place is None else cursors.write("audit_events", order, *place)


def place_of(text: str, order: str) -> Place | None:
    """Where a page begins. Raises ValidationError for what is no cursor of this order."""
    return Place._make(cursors.read(text, "audit_events", order, int, int, int)) if text else None
