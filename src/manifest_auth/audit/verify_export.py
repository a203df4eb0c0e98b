"""Proves an export by itself, without a store or a key: nothing in between is missing, altered, or there twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from manifest_auth.audit.chain import Link, Walk
from manifest_auth.audit.events import Event, Point
from manifest_auth.audit.exports import line_of
from manifest_auth.audit.readable import legible
from manifest_auth.audit.verification import Step, Verdict
from manifest_auth.errors import ValidationError
from manifest_auth.text.canonical import moment


class _Excerpt:
    """The lines of one chain."""

    def __init__(self, chain: int, client: str | None, first: Link, known: Point | None) -> None:
        self.client, self.walk = client, Walk(chain, Point(first.sequence - 1, first.previous_hash), known)

    def take(self, client: str | None, link: Link, *, as_written: bool) -> None:
        self.walk.take(link)
        if not as_written:
            self.walk.tell(link.sequence, "altered", "its line is not as `audit export` writes it")
        # The name is no part of the hash; it is written in each line, unless the client is gone by then, and in the
        # event of its creation.
        names = {client, self.client, _named(link) if link.event == Event.CLIENT_CREATED.value else None} - {None}
        if client is not None and len(names) > 1:
            self.walk.tell(link.sequence, "altered", "its line names another client than other lines of the chain")
        self.client = self.client or client


def verify_export(lines: Iterable[bytes], step: Step, known: Mapping[int, Point]) -> list[Verdict]:
    """What was found of each chain in what ``audit export`` wrote. Whether it begins and ends where it should, an
    export does not know. Raises ValueError for what is none."""
    excerpts: dict[int, _Excerpt] = {}
    for number, line in enumerate(lines, 1):
        try:
            chain, client, link = _link(found := orjson.loads(line))
        except (ValueError, TypeError, KeyError, ValidationError) as error:
            raise ValueError(f"line {number}: not an event as `audit export` writes them") from error
        if chain not in excerpts:
            excerpts[chain] = _Excerpt(chain, client, link, known.get(chain))
        # A member that stands twice in a line is read once: so a line counts only as it would be written again.
        as_written = "unreadable" not in found and _written(chain, client, link) == line.removesuffix(b"\n")
        excerpts[chain].take(client, link, as_written=as_written)
        step(1)
    if not excerpts:
        raise ValueError("there is no event in it, so nothing is proved")
    verdicts = []
    for chain, excerpt in excerpts.items():
        walk = excerpt.walk
        walk.end_of_excerpt()
        client = excerpt.client
        verdicts.append(Verdict(chain, client, walk.events, walk.start, walk.last, walk.faults, walk.untold))
    return verdicts


def _written(chain: int, client: str | None, link: Link) -> bytes:
    return orjson.dumps(line_of(chain, client, legible(link)))


def _named(link: Link) -> Any:
    return orjson.loads(link.detail).get("identifier")


def _link(found: dict[str, Any]) -> tuple[int, str | None, Link]:
    detail = found["detail"]
    if not isinstance(detail, dict):
        raise TypeError(detail)
    link = Link(
        int(found["sequence"]),
        moment(found["at"], "at"),
        found["event"],
        found["actor"],
        found["subject"],
        found["address"],
        found["requestId"],
        orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
        found["previousHash"],
        found["hash"],
    )
    return int(found["chain"]), found["client"], link
