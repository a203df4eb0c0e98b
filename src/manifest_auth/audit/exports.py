"""Export of the audit trail as JSON Lines: one event a line, with everything that its hash covers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson
from sqlalchemy import BigInteger, bindparam, func, select

from manifest_auth.audit.chain_rows import BEFORE_ALL, MOST, links_after
from manifest_auth.audit.chain_walk import Link
from manifest_auth.audit.chains import names_of
from manifest_auth.audit.readable_links import ReadableLink, readable
from manifest_auth.store import Store, SystemUnit, tenant_scoped
from manifest_auth.store.tables import audit_events
from manifest_auth.text.canonical import when


class Span(NamedTuple):
    """A range of time in milliseconds, without ``until``. None: from the beginning, to the end."""

    since: int | None = None
    until: int | None = None


class AuditEventData(msgspec.Struct, frozen=True, rename="camel"):
    """``client``: null for the installation's events. ``sequence``: the number in that client's chain; ``hash``: covers
    the event and, through the previous hash, all earlier ones. ``unreadable``: members whose stored value is invalid,
    because the row was altered by hand; they are shown as empty."""

    client: str | None
    sequence: int
    at: str
    event: str
    actor: str
    subject: str
    address: str
    request_id: str
    detail: dict[str, Any]
    hash: str
    unreadable: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class _Bounds(NamedTuple):
    """Numbers of the first and the last event of a span; None when there is no event."""

    first: int | None
    last: int | None


class Lines(NamedTuple):
    """Lines of an export. ``looked_at``: number of events read; ``unreadable``: numbers of events with invalid
    members."""

    chain: int
    looked_at: int
    lines: list[bytes]
    unreadable: list[int]


_E = audit_events.c
_BOUNDS = tenant_scoped(
    select(func.min(_E.sequence), func.max(_E.sequence)).where(
        _E.at >= bindparam("since", type_=BigInteger()), _E.at < bindparam("until", type_=BigInteger())
    ),
    _Bounds,
)


async def export(store: Store, chains: Sequence[int], span: Span = Span()) -> AsyncIterator[Lines]:  # noqa: B008 - immutable
    """Yields lines in batches: chain by chain, in order of numbers and without gaps, from the first to the last event
    of the span. Events between them are included, even if a changed clock gave them a time outside the span."""
    for chain in chains:
        after, last = BEFORE_ALL, None
        if span != Span():
            bounds = await store.read(lambda unit: _bounds(unit, chain, span))  # noqa: B023 - awaited at once
            if bounds.first is None:
                continue
            after, last = bounds.first - 1, bounds.last
        while True:
            name, links, goes_on = await store.read(lambda unit: _read(unit, chain, after))  # noqa: B023 - awaited at once
            within = [link for link in links if last is None or link.sequence <= last]
            event = [readable(link) for link in within]
            lines = [_line(chain, name, one) for one in event]
            yield Lines(chain, len(links), lines, [one.link.sequence for one in event if one.unreadable])
            if not goes_on or len(within) < len(links):
                break
            after = links[-1].sequence


def _bounds(unit: SystemUnit, chain: int, span: Span) -> _Bounds:
    since = BEFORE_ALL if span.since is None else span.since
    until = MOST if span.until is None else span.until
    return unit.of(chain).one(_BOUNDS, since=since, until=until)


def _read(unit: SystemUnit, chain: int, after: int) -> tuple[str | None, list[Link], bool]:
    return names_of(unit, [chain]).get(chain), *links_after(unit.of(chain), after)


def _line(chain: int, client: str | None, event: ReadableLink) -> bytes:
    return orjson.dumps(line_of(chain, client, event)) + b"\n"


def line_of(chain: int, client: str | None, event: ReadableLink) -> dict[str, Any]:
    """The content of one line of an export."""
    return {"chain": chain, **msgspec.to_builtins(event_data(client, event)), "previousHash": event.link.previous_hash}


def event_data(client: str | None, event: ReadableLink) -> AuditEventData:
    """An event as a wire model."""
    link = event.link
    return AuditEventData(
        client=client,
        sequence=link.sequence,
        at=when(link.at),
        event=link.event,
        actor=link.actor,
        subject=link.subject,
        address=link.address,
        request_id=link.request_id,
        detail=orjson.loads(link.detail),
        hash=link.hash,
        unreadable=event.unreadable or msgspec.UNSET,
    )
