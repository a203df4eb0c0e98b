"""Templates: their rows, their list, and the one statement that moves one on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Text, bindparam, select

from manifest_auth.errors import NotFound
from manifest_auth.store import Listing, TenantUnit, among, bound, mine, numbers
from manifest_auth.store.tables import template_versions, templates


class Template(NamedTuple):
    """``versions``: how many there are, the latest one's number. ``published``: number of the published one.
    ``events``: how many stand in the log."""

    id: int
    name: str
    description: str
    versions: int
    published: int | None
    events: int
    created_by: int
    created_at: int
    changed_at: int
    archived_at: int | None


_C, _V = templates.c, template_versions.c
_ALL = select(*(_C[name] for name in Template._fields))
_BY_ID = bound(_ALL.where(_C.id == bindparam("id")), Template)
_LOCKED = bound(_ALL.where(_C.id == bindparam("id")).with_for_update(), Template)
_MANY = bound(_ALL.where(among(_C.id, "ids")), Template)
#: Filters take ``like`` (see :func:`manifest_auth.text.like`) and ``status``.
LISTING = Listing(
    _ALL,
    Template,
    key=_C.id,
    sorts={"ID": _C.id, "NAME": _C.name_key, "CHANGED_AT": _C.changed_at},
    filters={
        "search": _C.name_key.like(bindparam("like"), escape="\\"),
        "status": _C.id.in_(
            select(_V.template_id).where(mine(template_versions), _V.status == bindparam("status", type_=Text()))
        ),
        "archived": _C.archived_at.is_not(None),
        "open": _C.archived_at.is_(None),
    },
)


def get(unit: TenantUnit, template_id: int, *, lock: bool = False) -> Template:
    """``lock``: the template and its versions stay as they are until the transaction ends. Raises NotFound."""
    found = unit.first(_LOCKED if lock else _BY_ID, id=template_id)
    if found is None:
        raise NotFound()
    return found


def get_many(unit: TenantUnit, ids: Sequence[int]) -> list[Template]:
    """Those of the tenant's templates that have one of these ids, in no order."""
    return unit.all(_MANY, ids=numbers(ids))
