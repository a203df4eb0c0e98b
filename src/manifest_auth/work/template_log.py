"""The history of templates and their versions: actor, time, move and comment.

Entries are never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select

from manifest_auth.store import TenantUnit, numbers, tenant_scoped
from manifest_auth.store.tables import template_events
from manifest_auth.work.actor import Actor, check_row_count, numbered_rows
from manifest_auth.work.template_rules import TemplateMove


class Entry(NamedTuple):
    """A new entry. ``version``: number of the version."""

    move: TemplateMove
    version: int | None = None
    comment: str = ""


class Event(NamedTuple):
    """A stored entry. ``version``: number of the version."""

    template_id: int
    number: int
    move: str
    version: int | None
    comment: str
    by: int
    at: int


_C = template_events.c
_NUMBERED = numbered_rows(select(*(_C[name] for name in Event._fields)), _C.template_id, Event)
_APPEND = tenant_scoped(insert(template_events).values({name: bindparam(name) for name in Event._fields}))


def append(unit: TenantUnit, by: Actor, template_id: int, after: int, entries: Sequence[Entry]) -> None:
    """Adds entries after the number ``after``; the caller has increased the counter in the template's row."""
    for number, entry in enumerate(entries, after + 1):
        event = Event(
            template_id=template_id,
            number=number,
            move=entry.move,
            version=entry.version,
            comment=entry.comment,
            by=by.user_id,
            at=by.at,
        )
        unit.change(_APPEND, **event._asdict())


def numbered(unit: TenantUnit, template_ids: Sequence[int], after: int, first: int) -> list[Event]:
    """At most ``first`` entries of each template after the number ``after``, in order. Raises ValidationError for too
    many rows."""
    return check_row_count(unit.all(_NUMBERED, ids=numbers(template_ids), after=after, until=after + first))
