"""A client's events as a file, selected by filters: CSV (RFC 4180) or JSON Lines, read in batches."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Literal

import orjson

from manifest_auth.audit.exports import line_of
from manifest_auth.audit.query import EventFilter, FoundEvent, page
from manifest_auth.audit.readable_links import readable
from manifest_auth.store import TenantStore

Format = Literal["csv", "jsonl"]
AT_ONCE = 200
_MEMBERS = ("sequence", "at", "event", "actor", "subject", "address", "requestId", "detail", "hash")
_NAMED = ("actor", "subject")
COLUMNS = (*_MEMBERS, "actorEmail", "subjectEmail")
#: The e-mail addresses, as of now, of those users who are among actors and subjects like ``user:7``.
Emails = Callable[[set[str]], Awaitable[Mapping[str, str]]]
#: A spreadsheet takes a cell with such a start for a formula, which may run programs and send the sheet's data away.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def no_emails(named: set[str]) -> Mapping[str, str]:
    return {}


async def download(
    store: TenantStore, event_filter: EventFilter, form: Format, emails: Emails = no_emails
) -> AsyncIterator[bytes]:
    """The bytes of the file, in the order of the filter. ``emails``: for the last columns of CSV. At most ``AT_ONCE``
    events are in memory, and no transaction is open while they are sent. Raises StoreUnavailable."""
    if form == "csv":
        yield _rows([COLUMNS])
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
    return _rows(_cells(line, known) for line in lines)


def _cells(line: dict[str, object], known: Mapping[str, str]) -> list[str]:
    texts = [
        orjson.dumps(value).decode() if isinstance(value, dict) else str(value) for value in map(line.get, _MEMBERS)
    ]
    texts += [known.get(str(line[name]), "") for name in _NAMED]
    return [f"'{text}" if text.startswith(_FORMULA) else text for text in texts]


def _rows(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
