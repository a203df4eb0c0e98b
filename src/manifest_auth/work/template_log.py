"""What happened to a template and its versions: who, when, and with which words. Entries are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, select

from manifest_auth.store import TenantUnit, among, bound, numbers
from manifest_auth.store.tables import template_events
from manifest_auth.work.acting import MOST_ROWS, few


class Event(NamedTuple):
    """``version``: number of the version that it is about."""

    template_id: int
    number: int
    move: str
    version: int | None
    comment: str
    by: int
    at: int


_C = template_events.c
_NUMBERED = bound(
    select(*(_C[name] for name in Event._fields))
    .where(
        among(_C.template_id, "ids"),
        _C.number > bindparam("after", type_=BigInteger()),
        _C.number <= bindparam("until", type_=BigInteger()),
    )
    .order_by(_C.template_id, _C.number)
    .limit(MOST_ROWS + 1),
    Event,
)


def numbered(unit: TenantUnit, template_ids: Sequence[int], after: int, first: int) -> list[Event]:
    """Of each template at most ``first`` entries after the number ``after``, in order. Raises ValidationError when
    that is too much at once."""
    return few(unit.all(_NUMBERED, ids=numbers(template_ids), after=after, until=after + first))
