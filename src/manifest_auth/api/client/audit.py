"""``/api/client/audit``: the trail of one's client, for whoever holds ``audit:read``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from manifest_auth import audit
from manifest_auth.audit import AuditEventsData, AuditFilters, AuditQuery, Format, place_of, wanted, wire
from manifest_auth.errors import ValidationError
from manifest_auth.http import NO_STORE, Access, Answer, Call, Route, stream
from manifest_auth.operations import export_trail
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext

_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_TYPES: dict[Format, bytes] = {"csv": b"text/csv; charset=utf-8", "jsonl": b"application/jsonl; charset=utf-8"}


class ExportQuery(AuditFilters, frozen=True, kw_only=True, rename={"since": "from", "until": "to", "form": "format"}):
    """The filters of the list, and the kind of file."""

    form: Annotated[Format, Meta(description="`jsonl`: an event a line, as JSON.")]


async def _list(ctx: RequestContext, call: Call[None]) -> AuditEventsData:
    query: AuditQuery = call.parameters
    asked = wanted(query)
    found, goes_on = await audit.page(ctx.store, asked, query.first, place_of(query.after, query.direction))
    return wire(found, goes_on, query.direction)


async def _export(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    query: ExportQuery = call.parameters
    parts = await export_trail.start(ctx, query, query.form)
    headers = (
        (b"content-type", _TYPES[query.form]),
        (b"content-disposition", f'attachment; filename="{export_trail.name_of(ctx, query.form)}"'.encode()),
        NO_STORE,
    )
    return stream(parts, None, headers, _POLICY)


_BASE = "/api/client/audit"
ROUTES = (
    Route("GET", _BASE, _list, Access.CLIENT, "The audit trail of one's client",
          permission=Permission.AUDIT_READ, query=AuditQuery, refusals=(ValidationError,)),
    Route("GET", f"{_BASE}/export", _export, Access.CLIENT, "The audit trail of one's client as a file",
          permission=Permission.AUDIT_READ, query=ExportQuery, sends=True, refusals=(ValidationError,)),
)  # fmt: skip
