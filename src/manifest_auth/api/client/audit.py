"""``/api/client/audit``: the audit trail of the caller's client, with the permission ``audit:read``."""

from __future__ import annotations

from manifest_auth.audit.query import page
from manifest_auth.audit.wire import AuditEventsData, AuditQuery, event_filter, position_of, wire
from manifest_auth.errors import ValidationError
from manifest_auth.http import Access, Call, Route
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext


async def _list(ctx: RequestContext, call: Call[None]) -> AuditEventsData:
    query: AuditQuery = call.parameters
    asked = event_filter(query)
    found, goes_on = await page(ctx.store, asked, query.first, position_of(query.after, query.direction))
    return wire(found, goes_on, query.direction)


ROUTES = (
    Route("GET", "/api/client/audit", _list, Access.CLIENT, "The audit trail of your client",
          permission=Permission.AUDIT_READ, query=AuditQuery, refusals=(ValidationError,)),
)  # fmt: skip
