"""Queries on the client's audit trail: a list, and pages as at ``/api/client/audit``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth import audit
from manifest_auth.api.graphql import arguments, lists
from manifest_auth.api.graphql.lists import Paged
from manifest_auth.audit import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    Found,
    Place,
    Wanted,
    cursor,
    event_named,
    legible,
    place_of,
    place_of_number,
    user_named,
)
from manifest_auth.audit.chain import Link
from manifest_auth.errors import ValidationError
from manifest_auth.services import RequestContext
from manifest_auth.text.canonical import moment

_ORDERS = {"NEWEST": NEWEST_FIRST, "OLDEST": OLDEST_FIRST}


class AuditEvent(Link):
    """An event as in the schema. ``unreadable``: names of members whose stored value is invalid."""

    unreadable: tuple[str, ...] = ()


def _event(found: Found) -> AuditEvent:
    link, unreadable = legible(found.link)
    event = AuditEvent._make(link)
    event.unreadable = unreadable
    return event


class _Asked(NamedTuple):
    """Arguments of the list and of its pages."""

    wanted: Wanted
    first: int
    after: Place | None


def _wanted(given: dict[str, Any], order: str) -> Wanted:
    """Raises ValidationError."""
    filters = {name: value for name, value in (given.get("filter") or {}).items() if value is not None}
    for name, field in (("since", "filter.since"), ("until", "filter.until")):
        if name in filters:
            filters[name] = moment(filters[name], field)
    event_named(filters.get("event", ""), "filter.event")
    if "userId" in filters:
        filters["user"] = user_named(arguments.number(filters.pop("userId"), "filter.userId"))
    return Wanted(**filters, order=order)


async def _asked(ctx: RequestContext, given: dict[str, Any]) -> _Asked:
    """Raises ValidationError."""
    first, order = arguments.size(given.get("first")), _ORDERS[given.get("order") or "NEWEST"]
    wanted, text = _wanted(given, order), given.get("after") or ""
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        return _Asked(wanted, first, place_of(text, order))
    # The plain list returns no cursor: there the last event's number is used.
    place = await place_of_number(ctx.store, int(text))
    if place is None:
        raise ValidationError(details=[("after", "There is no event with this number any more")])
    return _Asked(wanted, first, place)


async def _list(_source: Any, info: Any, **given: Any) -> list[AuditEvent]:
    ctx: RequestContext = info.context
    asked = await _asked(ctx, given)
    found, _ = await audit.page(ctx.store, *asked)
    return [_event(one) for one in found]


async def _page(_source: Any, info: Any, **given: Any) -> Paged:
    ctx: RequestContext = info.context
    asked = await _asked(ctx, given)
    found, goes_on = await audit.page(ctx.store, *asked)
    items = [_event(one) for one in found]
    return Paged(items, cursor(goes_on, asked.wanted.order), lambda: audit.total(ctx.store, asked.wanted))


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.auditEvents": _list,
    "Query.auditEventsPage": _page,
    "AuditEventPage.total": lists.total,
}
