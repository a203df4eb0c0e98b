"""What became of the audit trail that :mod:`..audit` writes: proved, listed, handed out, and cut back by retention.

Hands over: :func:`verify`, :func:`verify_all`, :func:`verify_export`, :func:`export`, :func:`page`,
:func:`page_across`, :func:`total` and :func:`sweep`.
Never: a change of an event.
"""

from manifest_auth.trail.exporting import Span, export
from manifest_auth.trail.legible import legible
from manifest_auth.trail.proving_exports import verify_export
from manifest_auth.trail.reading import (
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
from manifest_auth.trail.retention import cut, sweep
from manifest_auth.trail.ties import all_chains
from manifest_auth.trail.verifying import Verdict, verify, verify_all
from manifest_auth.trail.whose import INSTALLATION, chain_named
from manifest_auth.trail.wire import (
    AuditEventsData,
    AuditQuery,
    cursor,
    event_named,
    place_of,
    user_named,
    wanted,
    wire,
)

__all__ = [
    "INSTALLATION",
    "NEWEST_FIRST",
    "OLDEST_FIRST",
    "AuditEventsData",
    "AuditQuery",
    "Found",
    "Place",
    "Span",
    "Verdict",
    "Wanted",
    "all_chains",
    "chain_named",
    "cursor",
    "cut",
    "event_named",
    "export",
    "legible",
    "page",
    "page_across",
    "place_of",
    "place_of_number",
    "sweep",
    "total",
    "user_named",
    "verify",
    "verify_all",
    "verify_export",
    "wanted",
    "wire",
]
