"""Formats of audit events outside the store: JSON Lines, CSV, and the wire models of users and system admins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import orjson
from msgspec import Meta
from sqlalchemy import BigInteger, bindparam, func, select

from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.chains import BEFORE_ALL, MOST, Link, links_after, names_of
from manifest_auth.audit.query import NEWEST_FIRST, OLDEST_FIRST, EventFilter, FoundEvent, Position, page
from manifest_auth.errors import ValidationError
from manifest_auth.store import Store, SystemUnit, TenantScoped, TenantStore, listing, tenant_scoped
from manifest_auth.store.tables import audit_events
from manifest_auth.text import csv_files, fields
from manifest_auth.text.canonical import EARLIEST, LATEST, parse_time, when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import CURSOR, TIME, ErrorCollector

# Both stores accept times outside the calendar and details that aren't JSON. SQLite accepts values of any type.

_WIRE = {"request_id": "requestId", "previous_hash": "previousHash"}
_EMPTY: dict[str, Any] = {"sequence": 0, "at": 0, "detail": "{}"}


class ReadableLink(NamedTuple):
    """An event to show. ``link`` has valid members, and its ``detail`` is a JSON object. ``unreadable`` contains wire
    names of members with invalid stored values."""

    link: Link
    unreadable: tuple[str, ...]


def readable(link: Link) -> ReadableLink:
    """Returns the event with valid members."""
    bad = [name for name, value in link._asdict().items() if not _can_be(name, value)]
    shown = link._replace(**{name: _EMPTY.get(name, "") for name in bad}) if bad else link
    return ReadableLink(shown, tuple(sorted(_WIRE.get(name, name) for name in bad)))


def _can_be(name: str, value: object) -> bool:
    if name == "sequence":
        return isinstance(value, int)
    if name == "at":
        return isinstance(value, int) and EARLIEST <= value <= LATEST
    if not isinstance(value, str):
        return False
    try:
        value.encode()
        return name != "detail" or isinstance(orjson.loads(value), dict)
    except ValueError:  # it isn't UTF-8 or JSON
        return False


class Span(NamedTuple):
    """A range of times in milliseconds, not including ``until``. None means from the beginning, or to the end."""

    since: int | None = None
    until: int | None = None


class AuditEventData(msgspec.Struct, frozen=True, rename="camel"):
    """``client``: null for the installation's events. ``sequence``: the number in that client's chain; ``hash``: covers
    the event and, through the previous hash, all earlier ones. ``unreadable``: members with an invalid stored value,
    because someone edited the row; they are returned empty."""

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


class Lines(NamedTuple):
    """Lines of an export. ``looked_at`` is the number of events read. ``unreadable`` contains the numbers of events
    with invalid members."""

    chain: int
    looked_at: int
    lines: list[bytes]
    unreadable: list[int]


_E = audit_events.c
#: The numbers of the first and the last event in a time span; None if there are no events.
_BOUNDS: TenantScoped[Any] = tenant_scoped(
    select(func.min(_E.sequence), func.max(_E.sequence)).where(
        _E.at >= bindparam("since", type_=BigInteger()), _E.at < bindparam("until", type_=BigInteger())
    )
)


async def export(store: Store, chains: Sequence[int], span: Span = Span()) -> AsyncIterator[Lines]:  # noqa: B008 - immutable
    """Yields lines in batches, chain by chain, in order of numbers and without gaps, from the first to the last event
    of the span. Includes events between them, even if a changed clock gave them a time outside the span."""
    for chain in chains:
        after, last = BEFORE_ALL, None
        if span != Span():
            first, last = await store.read(lambda unit: _bounds(unit, chain, span))  # noqa: B023 - awaited
            if first is None:
                continue
            after = first - 1
        while True:
            name, links, goes_on = await store.read(lambda unit: _read(unit, chain, after))  # noqa: B023 - awaited
            within = [link for link in links if last is None or link.sequence <= last]
            event = [readable(link) for link in within]
            lines = [orjson.dumps(line_of(chain, name, one)) + b"\n" for one in event]
            yield Lines(chain, len(links), lines, [one.link.sequence for one in event if one.unreadable])
            if not goes_on or len(within) < len(links):
                break
            after = links[-1].sequence


def _bounds(unit: SystemUnit, chain: int, span: Span) -> Any:
    since = BEFORE_ALL if span.since is None else span.since
    return unit.of(chain).one(_BOUNDS, since=since, until=MOST if span.until is None else span.until)


def _read(unit: SystemUnit, chain: int, after: int) -> tuple[str | None, list[Link], bool]:
    return names_of(unit, [chain]).get(chain), *links_after(unit.of(chain), after)


def line_of(chain: int, client: str | None, event: ReadableLink) -> dict[str, Any]:
    """Returns the content of one line of an export."""
    return {"chain": chain, **msgspec.to_builtins(event_data(client, event)), "previousHash": event.link.previous_hash}


def event_data(client: str | None, event: ReadableLink) -> AuditEventData:
    """Returns an event as a wire model."""
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


Format = Literal["csv", "jsonl"]
AT_ONCE = 200
_MEMBERS = ("sequence", "at", "event", "actor", "subject", "address", "requestId", "detail", "hash")
_NAMED = ("actor", "subject")
COLUMNS = (*_MEMBERS, "actorEmail", "subjectEmail")
#: The current email addresses of users who are actors or subjects, such as ``user:7``.
Emails = Callable[[set[str]], Awaitable[Mapping[str, str]]]


async def no_emails(named: set[str]) -> Mapping[str, str]:
    return {}


async def download(
    store: TenantStore, event_filter: EventFilter, form: Format, emails: Emails = no_emails
) -> AsyncIterator[bytes]:
    """Yields the bytes of the file, in the order of the filter. ``emails`` are for the last columns of CSV. At most
    ``AT_ONCE`` events are in memory, and no transaction is open while they are sent. Raises StoreUnavailable."""
    if form == "csv":
        yield csv_files.rows([COLUMNS])
    after = None
    while True:
        found, after = await page(store, event_filter, AT_ONCE, after)
        if found and form == "csv":
            yield await _csv(found, emails)
        elif found:
            yield _lines(found)
        if after is None:
            return


def _lines(found: Iterable[FoundEvent]) -> bytes:
    return b"".join(orjson.dumps(line_of(one.chain, one.client, readable(one.link))) + b"\n" for one in found)


async def _csv(found: Iterable[FoundEvent], emails: Emails) -> bytes:
    lines = [line_of(one.chain, one.client, readable(one.link)) for one in found]
    known = await emails({str(line[name]) for line in lines for name in _NAMED})
    return csv_files.rows(_cells(line, known) for line in lines)


def _cells(line: dict[str, object], known: Mapping[str, str]) -> list[str]:
    texts = [
        orjson.dumps(value).decode() if isinstance(value, dict) else str(value) for value in map(line.get, _MEMBERS)
    ]
    return texts + [known.get(str(line[name]), "") for name in _NAMED]


_EVENTS = frozenset(event.value for event in Event)
Text = Annotated[str, fields.EVENT_NAME.meta]
Time = Annotated[str, Meta(max_length=40, description="For example, `2026-01-31T09:30:00Z`.", extra_json_schema=TIME)]


class AuditFilters(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """Filters are combined with AND. ``from`` is inclusive, and ``to`` is exclusive."""

    sort: Annotated[Literal["", "TIME", "TIME_DESC"], Meta(description="Sort order. Default: newest first.")] = ""
    order: Annotated[Literal["", "newest", "oldest"], Meta(description="Sort order as a word, instead of `sort`.")] = ""
    event: Annotated[Text, Meta(description="Name of the event, for example `signed_in`.")] = ""
    actor: Annotated[Text, Meta(description="The actor: `user:7`, `admin:1`, `anonymous`, or `system`.")] = ""
    subject: Annotated[Text, Meta(description="The subject, for example `user:7`.")] = ""
    user: Annotated[int, Meta(ge=0, le=2**53, description="ID of a user, as actor or subject.")] = 0
    result: Annotated[Literal["", "failed"], Meta(description="`failed`: only failures and warnings.")] = ""
    since: Time = ""
    until: Time = ""

    @property
    def direction(self) -> str:
        """Returns the order for :class:`EventFilter`. Raises ValidationError if both parameters are given."""
        if self.sort and self.order:
            raise ValidationError(details=[("order", "Use only one of `sort` and `order`")])
        return OLDEST_FIRST if self.sort == "TIME" or self.order == OLDEST_FIRST else NEWEST_FIRST


class AuditQuery(AuditFilters, frozen=True, rename={"since": "from", "until": "to"}):
    """The filters and pagination of a list."""

    first: Annotated[int, Meta(ge=1, le=100, description="Maximum number of events in a page.")] = 50
    after: Annotated[
        str, Meta(max_length=200, description="`nextCursor` of the previous page.", extra_json_schema=CURSOR)
    ] = ""


class AuditEventsData(msgspec.Struct, frozen=True, rename="camel"):
    """A page can have fewer events than requested, or none. Only a null ``nextCursor`` marks the last page."""

    items: tuple[AuditEventData, ...]
    next_cursor: str | None


def event_filter(query: AuditFilters) -> EventFilter:
    """Returns the filter. Raises ValidationError that names all invalid parameters."""
    times, event, order = {}, "", NEWEST_FIRST
    with ErrorCollector() as each:
        if query.since:
            with each:
                times["since"] = parse_time(query.since, "from")
        if query.until:
            with each:
                times["until"] = parse_time(query.until, "to")
        with each:
            event = event_named(query.event, "event")
        with each:
            order = query.direction
    user = user_named(query.user)
    return EventFilter(
        event=event, actor=query.actor, subject=query.subject, user=user, order=order, result=query.result, **times
    )


def user_named(number: int) -> str:
    """Parses a user, in the form of event subjects; 0 for any user."""
    return f"user:{number}" if number else ""


def event_named(name: str, field: str) -> str:
    """Checks the name of an event; empty for any event. Raises ValidationError for an unknown one."""
    if name and name not in _EVENTS:
        raise ValidationError(details=[(field, _("Unknown event"))])
    return name


def events_data(found: list[FoundEvent], goes_on: Position | None, order: str) -> AuditEventsData:
    """Returns a page as a wire model."""
    return AuditEventsData(tuple(event_data(one.client, readable(one.link)) for one in found), cursor(goes_on, order))


def cursor(position: Position | None, order: str) -> str | None:
    """Returns the cursor of a position; None if there is no position."""
    return None if position is None else listing.write_cursor("audit_events", order, *position)


def position_of(text: str, order: str) -> Position | None:
    """Returns the position of a cursor. Raises ValidationError for a cursor of another list or order."""
    return Position._make(listing.read_cursor(text, "audit_events", order, int, int, int)) if text else None
