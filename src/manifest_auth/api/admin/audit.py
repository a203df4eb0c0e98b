"""``/api/admin/audit``: the audit trail of all clients and of the installation."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from manifest_auth import audit
from manifest_auth.audit import AuditEventsData, AuditQuery, event_filter, events_data, position_of
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Access, Call, Route
from manifest_auth.services import RequestContext


class AdminAuditQuery(AuditQuery, frozen=True):
    client: Annotated[
        str, Meta(max_length=63, description="Identifier or number of a client; 0: the installation itself.")
    ] = ""


async def _list(ctx: RequestContext, call: Call[None]) -> AuditEventsData:
    query: AdminAuditQuery = call.parameters
    asked, after, store = event_filter(query), position_of(query.after, query.direction), ctx.services.store
    if query.client:
        chain = await store.read(lambda unit: audit.chain_named(unit, query.client))
        found, goes_on = await audit.page(store.of(chain), asked, query.first, after)
    else:
        found, goes_on = await audit.page_across(store, asked, query.first, after)
    return events_data(found, goes_on, query.direction)


ROUTES = (
    Route(
        "GET",
        "/api/admin/audit",
        _list,
        Access.ADMIN,
        "The audit trail of all clients and of the installation",
        query=AdminAuditQuery,
        refusals=(NotFound, ValidationError),
        operation="adminListAuditEvents",
    ),
)
