"""The audit trail: written in the transaction of each act; verified, listed, exported, and shortened by retention.

Owns ``audit_events``, ``audit_heads``, and ``audit_anchors``. Never changes an event. Knows nothing of HTTP: the actor
arrives as an :class:`Origin`.
"""

from manifest_auth.audit.acts import Act
from manifest_auth.audit.catalogue import Event, about, label
from manifest_auth.audit.chains import all_chains, chain_named
from manifest_auth.audit.events import (
    COLUMNS,
    INSTALLATION,
    MOST_SKEW_MS,
    Point,
    check_is_open,
    difference,
    digest,
    end,
    lock,
    record,
    record_all,
    record_creation,
    record_installation,
)
from manifest_auth.audit.formats import (
    AuditEventsData,
    AuditFilters,
    AuditQuery,
    Format,
    Span,
    cursor,
    download,
    event_filter,
    event_named,
    events_data,
    export,
    position_of,
    readable,
    user_named,
)
from manifest_auth.audit.query import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    STEP,
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
from manifest_auth.audit.upkeep import cut, restart, sweep
from manifest_auth.audit.verification import AuditVerdict, verify, verify_all, verify_export
from manifest_auth.context import Origin
