"""The client's audit trail: the same pages as at ``/api/client/audit``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth import trail
from manifest_auth.context import Context
from manifest_auth.graphql import arguments
from manifest_auth.text import moment
from manifest_auth.trail import NEWEST_FIRST, OLDEST_FIRST, Found, Wanted, cursor, event_named, legible, place_of

_ORDERS = {"NEWEST": NEWEST_FIRST, "OLDEST": OLDEST_FIRST}


class AuditEvent(NamedTuple):
    """An event as the schema shows it. Plain members, so that leaf fields need no resolver."""

    sequence: int
    at: int
    event: str
    actor: str
    subject: str
    address: str
    requestId: str  # noqa: N815 - the wire's name
    detail: str
    hash: str
    unreadable: tuple[str, ...]


def _event(found: Found) -> AuditEvent:
    one, unreadable = legible(found.link)
    return AuditEvent(
        one.sequence, one.at, one.event, one.actor, one.subject, one.address, one.request_id, one.detail, one.hash,
        unreadable,
    )  # fmt: skip


def _wanted(given: dict[str, Any], order: str) -> Wanted:
    """Raises ValidationError."""
    filters = {name: value for name, value in (given.get("filter") or {}).items() if value is not None}
    for name, field in (("since", "filter.since"), ("until", "filter.until")):
        if name in filters:
            filters[name] = moment(filters[name], field)
    event_named(filters.get("event", ""), "filter.event")
    return Wanted(**filters, order=order)


async def _page(_source: Any, info: Any, **given: Any) -> dict[str, Any]:
    ctx: Context = info.context
    first, order = arguments.size(given.get("first")), _ORDERS[given.get("order") or "NEWEST"]
    found, goes_on = await trail.page(
        ctx.store, _wanted(given, order), first, place_of(given.get("after") or "", order)
    )
    return {"items": [_event(one) for one in found], "nextCursor": cursor(goes_on, order)}


RESOLVERS: dict[str, Callable[..., Any]] = {"Query.auditEventsPage": _page}
