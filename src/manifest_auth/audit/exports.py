"""The audit trail as JSON Lines, one event a line: all that an event's hash covers is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson
from sqlalchemy import BigInteger, bindparam, func, select

from manifest_auth.audit.chain import Link
from manifest_auth.audit.chain_rows import BEFORE_ALL, MOST, links_after
from manifest_auth.audit.chains import names_of
from manifest_auth.audit.readable import Legible, legible
from manifest_auth.store import Store, SystemUnit, tenant_scoped
from manifest_auth.store.tables import audit_events
from manifest_auth.text.canonical import when


class Span(NamedTuple):
    """A time, milliseconds; ``until`` is no part of it. None: from the beginning, to the end."""

    since: int | None = None
    until: int | None = None


class AuditEventData(msgspec.Struct, frozen=True, rename="camel"):
    """``client``: null for the installation's own events. ``sequence``: the number in that client's chain; ``hash``:
    covers the event and, by the hash before it, all earlier ones. ``unreadable``: only where somebody altered the event
    in the store by hand: the members that hold what no event can hold, shown as empty."""

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


class _Ends(NamedTuple):
    """Numbers of the first and the last event of a time; None when there is no event."""

    first: int | None
    last: int | None


class Lines(NamedTuple):
    """``looked_at``: events; ``unreadable``: numbers of those of the chain that hold what no event holds."""

    chain: int
    looked_at: int
    lines: list[bytes]
    unreadable: list[int]


_E = audit_events.c
_ENDS = tenant_scoped(
    select(func.min(_E.sequence), func.max(_E.sequence)).where(
        _E.at >= bindparam("since", type_=BigInteger()), _E.at < bindparam("until", type_=BigInteger())
    ),
    _Ends,
)


async def export(store: Store, chains: Sequence[int], span: Span = Span()) -> AsyncIterator[Lines]:  # noqa: B008 - immutable
    """Some lines at a time. Chain by chain, in the order of numbers and without a gap: from the first event of that
    time to the last one, and whatever stands between them, though a clock that was set back gave it another time."""
    for chain in chains:
        after, last = BEFORE_ALL, None
        if span != Span():
            ends = await store.read(lambda unit: _ends(unit, chain, span))  # noqa: B023 - awaited at once
            if ends.first is None:
                continue
            after, last = ends.first - 1, ends.last
        while True:
            name, links, goes_on = await store.read(lambda unit: _read(unit, chain, after))  # noqa: B023 - awaited at once
            within = [link for link in links if last is None or link.sequence <= last]
            shown = [legible(link) for link in within]
            lines = [_line(chain, name, one) for one in shown]
            yield Lines(chain, len(links), lines, [one.link.sequence for one in shown if one.unreadable])
            if not goes_on or len(within) < len(links):
                break
            after = links[-1].sequence


def _ends(unit: SystemUnit, chain: int, span: Span) -> _Ends:
    since = BEFORE_ALL if span.since is None else span.since
    until = MOST if span.until is None else span.until
    return unit.of(chain).one(_ENDS, since=since, until=until)


def _read(unit: SystemUnit, chain: int, after: int) -> tuple[str | None, list[Link], bool]:
    return names_of(unit, [chain]).get(chain), *links_after(unit.of(chain), after)


def _line(chain: int, client: str | None, shown: Legible) -> bytes:
    return orjson.dumps(line_of(chain, client, shown)) + b"\n"


def line_of(chain: int, client: str | None, shown: Legible) -> dict[str, Any]:
    """What stands in a line of an export."""
    return {"chain": chain, **msgspec.to_builtins(event_data(client, shown)), "previousHash": shown.link.previous_hash}


def event_data(client: str | None, shown: Legible) -> AuditEventData:
    """An event on the wire."""
    link = shown.link
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
        unreadable=shown.unreadable or msgspec.UNSET,
    )
