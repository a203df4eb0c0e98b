"""A client's events as a file: those that filters choose, as CSV (RFC 4180) or JSON Lines, some at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Literal

import orjson

from manifest_auth.audit.exports import line_of
from manifest_auth.audit.query import Found, Wanted, page
from manifest_auth.audit.readable import legible
from manifest_auth.store import TenantStore

Format = Literal["csv", "jsonl"]
AT_ONCE = 200
COLUMNS = ("sequence", "at", "event", "actor", "subject", "address", "requestId", "detail", "hash")
#: Spreadsheets take a cell that begins so for a formula, which may run programs and send the rest of the sheet away.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def download(store: TenantStore, wanted: Wanted, form: Format) -> AsyncIterator[bytes]:
    """The events in the order that is wanted. Holds no more than ``AT_ONCE`` of them, and nothing open in the store
    while they are sent. Raises StoreUnavailable."""
    write = _csv if form == "csv" else _lines
    if form == "csv":
        yield _rows([COLUMNS])
    after = None
    while True:
        found, after = await page(store, wanted, AT_ONCE, after)
        if found:
            yield write(found)
        if after is None:
            return


def _lines(found: Iterable[Found]) -> bytes:
    return b"".join(orjson.dumps(line_of(one.chain, one.client, legible(one.link))) + b"\n" for one in found)


def _csv(found: Iterable[Found]) -> bytes:
    return _rows(_cells(line_of(one.chain, one.client, legible(one.link))) for one in found)


def _cells(line: dict[str, object]) -> list[str]:
    texts = (
        orjson.dumps(value).decode() if isinstance(value, dict) else str(value) for value in map(line.get, COLUMNS)
    )
    return [f"'{text}" if text.startswith(_FORMULA) else text for text in texts]


def _rows(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
