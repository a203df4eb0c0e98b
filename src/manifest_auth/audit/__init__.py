"""The audit trail: written in the transaction of each act, proved, listed, exported, and cut back by retention.

Owns ``audit_events``, ``audit_heads`` and ``audit_anchors``. Never changes an event, and knows no HTTP: who acts comes
as an :class:`Origin`.
"""

from manifest_auth.audit.chain_links import all_chains
from manifest_auth.audit.chains import chain_named
from manifest_auth.audit.downloads import Format, download
from manifest_auth.audit.events import (
    COLUMNS,
    INSTALLATION,
    MOST_SKEW_MS,
    Event,
    Point,
    digest,
    end,
    lock,
    record,
    record_creation,
    record_installation,
)
from manifest_auth.audit.exports import Span, export
from manifest_auth.audit.query import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    Found,
    Place,
    Wanted,
    page,
    page_across,
    place_of_number,
    total,
)
from manifest_auth.audit.readable import legible
from manifest_auth.audit.retention import cut, sweep
from manifest_auth.audit.verification import Verdict, verify, verify_all
from manifest_auth.audit.verify_export import verify_export
from manifest_auth.audit.wire import (
    AuditEventsData,
    AuditFilters,
    AuditQuery,
    cursor,
    event_named,
    place_of,
    user_named,
    wanted,
    wire,
)
from manifest_auth.context import Origin
