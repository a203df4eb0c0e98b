"""Wire models of the audit trail: members, filters and cursors, the same for users and for system admins."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.exports import AuditEventData, event_data
from manifest_auth.audit.query import NEWEST_FIRST, OLDEST_FIRST, EventFilter, FoundEvent, Position
from manifest_auth.audit.readable_links import readable
from manifest_auth.errors import ValidationError
from manifest_auth.store import cursors
from manifest_auth.text import fields
from manifest_auth.text.canonical import parse_time
from manifest_auth.text.json_schema import CURSOR, TIME
from manifest_auth.text.models import ErrorCollector

_EVENTS = frozenset(event.value for event in Event)
Text = Annotated[str, fields.EVENT_NAME.meta]
Time = Annotated[str, Meta(max_length=40, description="Like `2026-01-31T09:30:00Z`.", extra_json_schema=TIME)]


class AuditFilters(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """Filters are combined with AND. ``from`` is inclusive, ``to`` exclusive."""

    sort: Annotated[Literal["", "TIME", "TIME_DESC"], Meta(description="Order; the newest first if left out.")] = ""
    order: Annotated[Literal["", "newest", "oldest"], Meta(description="The same as a word, in place of `sort`.")] = ""
    event: Annotated[Text, Meta(description="The event, like `signed_in`.")] = ""
    actor: Annotated[Text, Meta(description="The actor: `user:7`, `admin:1`, `anonymous`, `system`.")] = ""
    subject: Annotated[Text, Meta(description="The subject, like `user:7`.")] = ""
    user: Annotated[int, Meta(ge=0, le=2**53, description="Number of a user, as actor or subject.")] = 0
    since: Time = ""
    until: Time = ""

    @property
    def direction(self) -> str:
        """The order for :class:`EventFilter`. Raises ValidationError when both parameters are given."""
        if self.sort and self.order:
            raise ValidationError(details=[("order", "Give sort alone")])
        return OLDEST_FIRST if self.sort == "TIME" or self.order == OLDEST_FIRST else NEWEST_FIRST


class AuditQuery(AuditFilters, frozen=True, rename={"since": "from", "until": "to"}):
    """The filters and the paging of a list."""

    first: Annotated[int, Meta(ge=1, le=100, description="Events in a page, at most.")] = 50
    after: Annotated[
        str, Meta(max_length=200, description="`nextCursor` of the previous page.", extra_json_schema=CURSOR)
    ] = ""


class AuditEventsData(msgspec.Struct, frozen=True, rename="camel"):
    """A page may have fewer events than requested, or none: only a null ``nextCursor`` marks the last page."""

    items: tuple[AuditEventData, ...]
    next_cursor: str | None


def event_filter(query: AuditFilters) -> EventFilter:
    """Raises ValidationError that names all parameters that are wrong."""
    times, event, order = {}, "", NEWEST_FIRST
    with ErrorCollector() as each:
        if query.since:
            with each:
                times["since"] = parse_time(query.since, "from")
        if query.until:
            with each:
                times["until"] = parse_time(query.until, "to")
        with each:
            event = event_named(query.event, "event")
        with each:
            order = query.direction
    return EventFilter(event, query.actor, query.subject, user_named(query.user), order=order, **times)


def user_named(number: int) -> str:
    """A user as named in events; 0: any."""
    return f"user:{number}" if number else ""


def event_named(name: str, field: str) -> str:
    """The name of an event; empty: any. Raises ValidationError for an unknown one."""
    if name and name not in _EVENTS:
        raise ValidationError(details=[(field, "No such event")])
    return name


def events_data(found: list[FoundEvent], goes_on: Position | None, order: str) -> AuditEventsData:
    """A page as a wire model."""
    items = tuple(event_data(one.client, readable(one.link)) for one in found)
    return AuditEventsData(items, cursor(goes_on, order))


def cursor(position: Position | None, order: str) -> str | None:
    """The cursor of a position; None for none."""
    return None if position is None else cursors.write("audit_events", order, *position)


def position_of(text: str, order: str) -> Position | None:
    """The position of a cursor. Raises ValidationError for one of another list or order."""
    return Position._make(cursors.read(text, "audit_events", order, int, int, int)) if text else None
