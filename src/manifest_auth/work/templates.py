"""Rows of templates: lookup, list, and the one statement that changes a template."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Text, bindparam, insert, select, update

from manifest_auth.errors import Conflict, existing
from manifest_auth.store import Listing, TenantUnit, among, numbers, tenant_condition, tenant_scoped
from manifest_auth.store.tables import template_events, template_versions, templates
from manifest_auth.work.actor import Actor, check_row_count, numbered_rows

# A version is a draft, then submitted, approved and published, and finally retired by the next published version. A
# rejection returns it to draft. Names are those of the wire.


class VersionStatus(StrEnum):
    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


#: Published versions never change, except that the next one retires them.
FINAL = (VersionStatus.PUBLISHED, VersionStatus.RETIRED)


class TemplateMove(StrEnum):
    """The moves of a template and its versions."""

    CREATED = "CREATED"
    CHANGED = "CHANGED"
    VERSION_ADDED = "VERSION_ADDED"
    EDITED = "EDITED"
    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"
    ARCHIVED = "ARCHIVED"
    RESTORED = "RESTORED"


class _Transition(NamedTuple):
    sources: tuple[VersionStatus, ...]
    to: VersionStatus


_S, _M = VersionStatus, TemplateMove
#: The transitions of a version. RETIRED is final, and only a newer version ends PUBLISHED.
TRANSITIONS: dict[TemplateMove, _Transition] = {
    _M.EDITED: _Transition((_S.DRAFT,), _S.DRAFT),
    _M.SUBMITTED: _Transition((_S.DRAFT,), _S.SUBMITTED),
    _M.APPROVED: _Transition((_S.SUBMITTED,), _S.APPROVED),
    _M.REJECTED: _Transition((_S.SUBMITTED, _S.APPROVED), _S.DRAFT),
    _M.PUBLISHED: _Transition((_S.APPROVED,), _S.PUBLISHED),
    _M.RETIRED: _Transition((_S.PUBLISHED,), _S.RETIRED),
}


def after(status: VersionStatus, move: TemplateMove) -> VersionStatus:
    """Returns the status after a move. Raises Conflict, which names the current status."""
    transition = TRANSITIONS[move]
    if status not in transition.sources:
        must = _names(*transition.sources)
        raise Conflict(f"The version is {_names(status)}. To be {move.lower()}, it must be {must}")
    return transition.to


def check_archive(archived: bool, move: TemplateMove) -> None:
    """Checks that an archived template is only restored, and that only an archived one is. Raises Conflict."""
    if archived and move is not TemplateMove.RESTORED:
        raise Conflict("The template is archived. Restore it first")
    if not archived and move is TemplateMove.RESTORED:
        raise Conflict("The template isn't archived")


def check_next(latest: VersionStatus) -> None:
    """Checks that only one version is in preparation at a time. Raises Conflict if the latest one is."""
    if latest not in FINAL:
        raise Conflict(f"The latest version is {_names(latest)}. Publish it before you create a new one")


def check_submission(steps: int) -> None:
    """Raises Conflict for a version without steps."""
    if steps == 0:
        raise Conflict("The version has no steps. Add steps first")


def _names(*statuses: VersionStatus) -> str:
    return " or ".join("a draft" if status is VersionStatus.DRAFT else status.lower() for status in statuses)


class Entry(NamedTuple):
    """A new entry. ``version`` is the version's number."""

    move: TemplateMove
    version: int | None = None
    comment: str = ""


class Event(NamedTuple):
    """A stored entry. ``version`` is the version's number."""

    template_id: int
    number: int
    move: str
    version: int | None
    comment: str
    by: int
    at: int


_LOG = template_events.c
_NUMBERED = numbered_rows(select(*(_LOG[name] for name in Event._fields)), _LOG.template_id, Event)
_APPEND = tenant_scoped(insert(template_events).values({name: bindparam(name) for name in Event._fields}))


def append_to_log(unit: TenantUnit, by: Actor, template_id: int, after: int, entries: Sequence[Entry]) -> None:
    """Adds entries after the number ``after``; the caller has increased the counter in the template's row."""
    for number, entry in enumerate(entries, after + 1):
        unit.change(_APPEND, template_id=template_id, number=number, by=by.user_id, at=by.at, **entry._asdict())


def numbered_log(unit: TenantUnit, template_ids: Sequence[int], after: int, first: int) -> list[Event]:
    """Lists at most ``first`` entries of each template after the number ``after``, in order. Raises ValidationError for
    too many rows."""
    return check_row_count(unit.all(_NUMBERED, ids=numbers(template_ids), after=after, until=after + first))


class Template(NamedTuple):
    """A stored template. ``versions``: number of versions, and so of the latest version; ``published``: number of the
    published version; ``events``: number of history entries."""

    id: int
    name: str
    description: str
    versions: int
    published: int | None
    events: int
    created_by: int
    created_at: int
    changed_at: int
    archived_at: int | None = None

    @property
    def name_key(self) -> str:
        """The sort key of lists."""
        return self.name.lower()


_MOVED_ON = "Another user just changed this template. Load it again"
_C, _V = templates.c, template_versions.c
_ALL = select(*(_C[name] for name in Template._fields))
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), Template)
_MANY = tenant_scoped(_ALL.where(among(_C.id, "ids")), Template)
#: Filters take ``like`` (see :func:`manifest_auth.text.canonical.like`) and ``status``.
LISTING = Listing(
    _ALL,
    Template,
    key=_C.id,
    sorts={"ID": _C.id, "NAME": _C.name_key, "CHANGED_AT": _C.changed_at},
    filters={
        "search": _C.name_key.like(bindparam("like"), escape="\\"),
        "status": _C.id.in_(
            select(_V.template_id).where(
                tenant_condition(template_versions), _V.status == bindparam("status", type_=Text())
            )
        ),
        "archived": _C.archived_at.is_not(None),
        "open": _C.archived_at.is_(None),
    },
)
_CHANGED = ("name", "name_key", "description", "versions", "published", "events", "changed_at", "archived_at")
_ADD = tenant_scoped(
    insert(templates)
    .values({name: bindparam(name) for name in (*_CHANGED, "created_by", "created_at")})
    .returning(_C.id),
    int,
)
# The event counter is the template's revision: an operation on an outdated snapshot changes no row.
_MOVE = tenant_scoped(
    update(templates)
    .where(_C.id == bindparam("of"), _C.events == bindparam("seen"))
    .values({name: bindparam("new_" + name) for name in _CHANGED})
)


def get(unit: TenantUnit, template_id: int) -> Template:
    """Returns the template. Raises NotFound."""
    return existing(unit.first(_BY_ID, id=template_id))


def get_many(unit: TenantUnit, ids: Sequence[int]) -> list[Template]:
    """Returns the tenant's templates with these IDs, in no particular order."""
    return unit.all(_MANY, ids=numbers(ids))


def add(unit: TenantUnit, by: Actor, name: str, description: str, *entries: Entry) -> Template:
    """Adds a template with one version, which the caller adds, and the first entries of its history."""
    made = Template(
        id=0,
        name=name,
        description=description,
        versions=1,
        published=None,
        events=len(entries),
        created_by=by.user_id,
        created_at=by.at,
        changed_at=by.at,
    )
    added = unit.one(_ADD, **_stored(made), created_by=by.user_id, created_at=by.at)
    append_to_log(unit, by, added, 0, entries)
    return made._replace(id=added)


def move(unit: TenantUnit, by: Actor, seen: Template, changed: Template, *entries: Entry) -> Template:
    """Changes a template from the snapshot ``seen``, and logs it. This is the first statement of each operation on the
    template or its versions, so that their snapshot is current too. Raises Conflict if anything happened since."""
    changed = changed._replace(events=seen.events + len(entries), changed_at=by.at)
    values = {f"new_{name}": value for name, value in _stored(changed).items()}
    if unit.change(_MOVE, of=seen.id, seen=seen.events, **values) != 1:
        raise Conflict(_MOVED_ON)
    append_to_log(unit, by, seen.id, seen.events, entries)
    return changed


def check_unchanged(unit: TenantUnit, seen: Template) -> Template:
    """Checks, for an operation that changes nothing, that the template is the same as when it was read. Raises
    Conflict."""
    if get(unit, seen.id) != seen:
        raise Conflict(_MOVED_ON)
    return seen


def _stored(template: Template) -> dict[str, object]:
    values = {name: getattr(template, name) for name in _CHANGED if name != "name_key"}
    return {**values, "name_key": template.name.lower()}
