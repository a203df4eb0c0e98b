"""The audit trail as JSON Lines, one event a line: all that an event's hash covers is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import orjson

from manifest_auth.store import Store, SystemUnit
from manifest_auth.text import when
from manifest_auth.trail.chain import Link
from manifest_auth.trail.stored import BEFORE_ALL, links_after
from manifest_auth.trail.whose import names_of


class Span(NamedTuple):
    """A time, milliseconds; ``until`` is no part of it."""

    since: int = -(2**63)
    until: int = 2**63 - 1

    def holds(self, at: int) -> bool:
        return self.since <= at < self.until


async def export(store: Store, chains: Sequence[int], span: Span = Span()) -> AsyncIterator[tuple[int, list[bytes]]]:  # noqa: B008 - immutable
    """Some lines at a time, and how many events were looked at for them. Chain by chain, in the order of numbers: the
    order of times may differ where a clock was set back."""
    for chain in chains:
        after = BEFORE_ALL
        while True:
            name, links, goes_on = await store.read(lambda unit: _read(unit, chain, after))  # noqa: B023 - awaited at once
            yield len(links), [_line(chain, name, link) for link in links if span.holds(link.at)]
            if not goes_on:
                break
            after = links[-1].sequence


def _read(unit: SystemUnit, chain: int, after: int) -> tuple[str | None, list[Link], bool]:
    return names_of(unit, [chain]).get(chain), *links_after(unit.of(chain), after)


def _line(chain: int, client: str | None, link: Link) -> bytes:
    return orjson.dumps({"chain": chain, **members(client, link), "previousHash": link.previous_hash}) + b"\n"


def members(client: str | None, link: Link) -> dict[str, Any]:
    """An event on the wire."""
    return {
        "client": client,
        "sequence": link.sequence,
        "at": when(link.at),
        "event": link.event,
        "actor": link.actor,
        "subject": link.subject,
        "address": link.address,
        "requestId": link.request_id,
        "detail": _detail(link.detail),
        "hash": link.hash,
    }


def _detail(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:  # somebody altered it: the proof says so, and it is handed out as it is
        return text
