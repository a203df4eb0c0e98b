"""The audit trail of the caller's client; and, for system admins, of all clients and of the installation."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from manifest_auth import audit
from manifest_auth.audit import (
    AuditEventsData,
    AuditFilters,
    AuditQuery,
    Format,
    event_filter,
    events_data,
    page,
    position_of,
)
from manifest_auth.audit.acts import Act
from manifest_auth.clients import audit_views
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import NO_STORE, Access, Answer, Call, Route, stream
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext

_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_TYPES: dict[Format, bytes] = {"csv": b"text/csv; charset=utf-8", "jsonl": b"application/jsonl; charset=utf-8"}


class ExportQuery(AuditFilters, frozen=True, kw_only=True, rename={"since": "from", "until": "to", "form": "format"}):
    """The filters of the list, and the format of the file."""

    form: Annotated[Format, Meta(description="`jsonl`: one event per line, as JSON.")]


async def _list_own(ctx: RequestContext, call: Call[None]) -> AuditEventsData:
    query: AuditQuery = call.parameters
    found, goes_on = await page(ctx.store, event_filter(query), query.first, position_of(query.after, query.direction))
    return events_data(found, goes_on, query.direction)


async def _export(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    query: ExportQuery = call.parameters
    parts = await audit_views.start(ctx, query, query.form)
    headers = (
        (b"content-type", _TYPES[query.form]),
        (b"content-disposition", f'attachment; filename="{audit_views.file_name(ctx, query.form)}"'.encode()),
        NO_STORE,
    )
    return stream(parts, None, headers, _POLICY)


_SENDS = ("text/csv", "application/jsonl")
_BASE = "/api/client/audit"
CLIENT_ROUTES = (
    Route("GET", _BASE, _list_own, Permission.AUDIT_READ, "List the audit events of your client",
          query=AuditQuery, refusals=(ValidationError,), operation="listAuditEvents"),
    Route("GET", f"{_BASE}/export", _export, Permission.AUDIT_READ, "Export the audit events of your client as a file",
          query=ExportQuery, sends=_SENDS,
          refusals=(ValidationError,), operation="exportAuditEvents", asks=Act.EXPORT),
)  # fmt: skip


class AdminAuditQuery(AuditQuery, frozen=True):
    client: Annotated[
        str, Meta(max_length=63, description="Identifier or number of a client; 0 for events of the installation.")
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


ADMIN_ROUTES = (
    Route("GET", "/api/admin/audit", _list, Access.ADMIN,
          "List the audit events of all clients and of the installation",
          query=AdminAuditQuery, refusals=(NotFound, ValidationError), operation="adminListAuditEvents"),
)  # fmt: skip
