"""Queries on the client's audit trail: a plain list, and the same pages as ``/api/client/audit``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifest_auth import audit
from manifest_auth.api.graphql import lists
from manifest_auth.api.graphql.lists import Paged
from manifest_auth.audit import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    EventFilter,
    FoundEvent,
    Position,
    cursor,
    event_named,
    position_of,
    position_of_number,
    readable,
    user_named,
)
from manifest_auth.audit.chains import Link
from manifest_auth.errors import ValidationError
from manifest_auth.services import RequestContext
from manifest_auth.text.canonical import parse_time
from manifest_auth.text.models import ErrorCollector

_ORDERS = {"NEWEST": NEWEST_FIRST, "OLDEST": OLDEST_FIRST}


class AuditEvent(Link):
    """An event as in the schema. ``unreadable`` names the members with invalid stored values."""

    unreadable: tuple[str, ...] = ()


def _event(found: FoundEvent) -> AuditEvent:
    link, unreadable = readable(found.link)
    event = AuditEvent._make(link)
    event.unreadable = unreadable
    return event


def _event_filter(given: dict[str, Any], order: str) -> EventFilter:
    """Returns the filter. Raises ValidationError that names all invalid members."""
    filters = {name: value for name, value in (given.get("filter") or {}).items() if value is not None}
    with ErrorCollector() as each:
        for name, field in (("since", "filter.since"), ("until", "filter.until")):
            if name in filters:
                with each:
                    filters[name] = parse_time(filters[name], field)
        with each:
            event_named(filters.get("event", ""), "filter.event")
        if "userId" in filters:
            with each:
                filters["user"] = user_named(lists.number(filters.pop("userId"), "filter.userId"))
    return EventFilter(**filters, order=order)


async def _asked(ctx: RequestContext, given: dict[str, Any]) -> tuple[EventFilter, int, Position | None]:
    """Returns the filter, size, and start of a page. Raises ValidationError."""
    first, order = lists.size(given.get("first")), _ORDERS[given.get("order") or "NEWEST"]
    event_filter, text = _event_filter(given, order), given.get("after") or ""
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        return event_filter, first, position_of(text, order)
    # The plain list returns no cursor, so callers pass the last event's number instead.
    position = await position_of_number(ctx.store, int(text))
    if position is None:
        raise ValidationError(details=[("after", "There is no longer an event with this number")])
    return event_filter, first, position


async def _list(_source: Any, info: Any, **given: Any) -> list[AuditEvent]:
    ctx: RequestContext = info.context
    found, _ = await audit.page(ctx.store, *await _asked(ctx, given))
    return [_event(one) for one in found]


async def _page(_source: Any, info: Any, **given: Any) -> Paged:
    ctx: RequestContext = info.context
    event_filter, first, after = await _asked(ctx, given)
    found, goes_on = await audit.page(ctx.store, event_filter, first, after)
    items = [_event(one) for one in found]
    return Paged(items, cursor(goes_on, event_filter.order), lambda: audit.total(ctx.store, event_filter))


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.auditEvents": _list,
    "Query.auditEventsPage": _page,
    "AuditEventPage.total": lists.total,
}
