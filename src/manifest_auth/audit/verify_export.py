"""Verifies an export without a store or a key: no event between its ends is missing, altered or duplicated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.chain_walk import Link, Walk
from manifest_auth.audit.events import Point
from manifest_auth.audit.exports import line_of
from manifest_auth.audit.readable_links import readable
from manifest_auth.audit.verification import AuditVerdict, Step
from manifest_auth.errors import ValidationError
from manifest_auth.text.canonical import parse_time


def verify_export(lines: Iterable[bytes], step: Step, known: Mapping[int, Point]) -> list[AuditVerdict]:
    """The result for each chain in the lines of ``audit export``. Whether a chain starts and ends where it should, an
    export cannot show. Raises ValueError for a file that is not an export."""
    walks: dict[int, Walk] = {}
    names: dict[int, str | None] = {}
    for number, line in enumerate(lines, 1):
        try:
            chain, client, link = _link(orjson.loads(line))
        except (ValueError, TypeError, KeyError, ValidationError) as error:
            raise ValueError(f"line {number}: not an event as `audit export` writes them") from error
        if chain not in walks:
            start = Point(link.sequence - 1, link.previous_hash)
            walks[chain], names[chain] = Walk(chain, start, known.get(chain)), client
        walk = walks[chain]
        # JSON parsers ignore duplicate members, so the line must equal what would be written again.
        if orjson.dumps(line_of(chain, client, readable(link))) != line.removesuffix(b"\n"):
            walk.stop(link.sequence, "its line is not as `audit export` writes it")
        # The name is not part of the hash: each line has it until the client is deleted, and so has the first event.
        created = orjson.loads(link.detail).get("identifier") if link.event == Event.CLIENT_CREATED.value else None
        if client is not None and len({client, names[chain], created} - {None}) > 1:
            walk.stop(link.sequence, "its line names another client than other lines of the chain")
        names[chain] = names[chain] or client
        walk.take(link)
        step(1)
    if not walks:
        raise ValueError("there is no event in it, so nothing is verified")
    return [_verdict(chain, names[chain], walk) for chain, walk in walks.items()]


def _verdict(chain: int, client: str | None, walk: Walk) -> AuditVerdict:
    walk.end(None)
    return AuditVerdict(
        chain=chain,
        client=client,
        events=walk.events,
        start=walk.start,
        end=walk.last,
        faults=[walk.fault] if walk.fault else [],
        restarts=walk.restarts,
    )


def _link(found: dict[str, Any]) -> tuple[int, str | None, Link]:
    detail = found["detail"]
    if not isinstance(detail, dict):
        raise TypeError(detail)
    link = Link(
        sequence=int(found["sequence"]),
        at=parse_time(found["at"], "at"),
        event=found["event"],
        actor=found["actor"],
        subject=found["subject"],
        address=found["address"],
        request_id=found["requestId"],
        detail=orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
        previous_hash=found["previousHash"],
        hash=found["hash"],
    )
    return int(found["chain"]), found["client"], link
