"""The audit trail: written in the transaction of each act; verified, listed, exported, and shortened by retention.

Owns ``audit_events``, ``audit_heads`` and ``audit_anchors``. Never changes an event, and knows no HTTP: the actor comes
as an :class:`Origin`.
"""

from manifest_auth.audit.catalogue import Act, Event, about, label
from manifest_auth.audit.chain_links import all_chains
from manifest_auth.audit.chains import chain_named
from manifest_auth.audit.downloads import Format, download
from manifest_auth.audit.events import (
    COLUMNS,
    INSTALLATION,
    MOST_SKEW_MS,
    Point,
    digest,
    end,
    lock,
    record,
    record_creation,
    record_installation,
)
from manifest_auth.audit.exports import Span, export
from manifest_auth.audit.mac_renewal import restart
from manifest_auth.audit.open_sessions import check_is_open
from manifest_auth.audit.query import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    EventFilter,
    FoundEvent,
    Page,
    Position,
    first_step,
    page,
    page_across,
    position_of_number,
    total,
)
from manifest_auth.audit.readable_links import readable
from manifest_auth.audit.retention import cut, sweep
from manifest_auth.audit.verification import AuditVerdict, verify, verify_all
from manifest_auth.audit.verify_export import verify_export
from manifest_auth.audit.wire import (
    AuditEventsData,
    AuditFilters,
    AuditQuery,
    cursor,
    event_filter,
    event_named,
    events_data,
    position_of,
    user_named,
)
from manifest_auth.context import Origin
