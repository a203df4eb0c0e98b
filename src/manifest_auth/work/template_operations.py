"""Operations on templates: add, edit, submit, approve, reject, publish, archive.

Each operation acts on a snapshot of the template, read before the unit of work was opened. Its first statement
increases the template's event counter from the snapshot's value. If anything happened in the meantime, it changes
nothing and raises Conflict. So only one of two concurrent operations succeeds, and only that one is logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from manifest_auth.errors import Conflict
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.models import ErrorCollector
from manifest_auth.work import templates, versions
from manifest_auth.work.actor import Actor
from manifest_auth.work.templates import Entry, Template, TemplateMove, VersionStatus
from manifest_auth.work.versions import NewStep, Version


class VersionSnapshot(NamedTuple):
    """A version and its template, as read before an operation."""

    template: Template
    version: Version


def read_snapshot(unit: TenantUnit, version_id: int) -> VersionSnapshot:
    """Returns the snapshot of a version. Raises NotFound."""
    version = versions.get(unit, version_id)
    return VersionSnapshot(templates.get(unit, version.template_id), version)


def read_latest(unit: TenantUnit, template_id: int) -> VersionSnapshot:
    """Returns the snapshot of a template's latest version. Raises NotFound."""
    template = templates.get(unit, template_id)
    [version] = versions.latest_of(unit, [template_id])
    return VersionSnapshot(template, version)


def add(unit: TenantUnit, by: Actor, name: str, description: str = "", of: Sequence[NewStep] = ()) -> Template:
    """Adds a template with its first version, a draft. Raises ValidationError."""
    with ErrorCollector() as each:
        with each:
            fields.WORK_NAME.check(name, "name")
        with each:
            fields.WORK_DESCRIPTION.check(description, "description")
        with each:
            versions.check_steps(of)
    template = templates.add(unit, by, name, description, Entry(TemplateMove.CREATED, 1))
    versions.put_steps(unit, versions.add(unit, by, template.id, 1).id, of)
    return template


def rename(
    unit: TenantUnit, by: Actor, seen: Template, *, name: str | None = None, description: str | None = None
) -> Template:
    """Changes name or description; None keeps the value. A change to the same values is not logged. Raises
    ValidationError, Conflict."""
    changed = seen._replace(
        name=seen.name if name is None else name, description=seen.description if description is None else description
    )
    with ErrorCollector() as each:
        if name is not None:
            with each:
                fields.WORK_NAME.check(name, "name")
        if description is not None:
            with each:
                fields.WORK_DESCRIPTION.check(description, "description")
    templates.check_archive(seen.archived_at is not None, TemplateMove.CHANGED)
    if changed == seen:
        return templates.check_unchanged(unit, seen)
    return templates.move(unit, by, seen, changed, Entry(TemplateMove.CHANGED))


def add_version(unit: TenantUnit, by: Actor, seen: VersionSnapshot) -> Version:
    """Adds the next version, a draft with the steps of the latest one, ``seen.version``. Raises Conflict."""
    template, latest = seen
    templates.check_archive(template.archived_at is not None, TemplateMove.VERSION_ADDED)
    templates.check_next(VersionStatus(latest.status))
    number = template.versions + 1
    templates.move(unit, by, template, template._replace(versions=number), Entry(TemplateMove.VERSION_ADDED, number))
    draft = versions.add(unit, by, template.id, number)
    before = versions.steps_of(unit, [latest.id])
    versions.put_steps(unit, draft.id, [NewStep(s.title, s.instructions, bool(s.requires_evidence)) for s in before])
    return draft


def edit(unit: TenantUnit, by: Actor, seen: VersionSnapshot, revision: int, to: Sequence[NewStep]) -> Version:
    """Replaces a draft's steps. ``revision`` is that of the edited draft. Raises ValidationError, Conflict."""
    versions.check_steps(to)
    changed = _moved(unit, by, seen, TemplateMove.EDITED, revision=revision)
    versions.put_steps(unit, changed.id, to)
    return changed


def submit(
    unit: TenantUnit, by: Actor, seen: VersionSnapshot, comment: str = "", revision: int | None = None
) -> Version:
    """Moves a version from draft to submitted. As for the other moves, ``revision`` is optional: the one that the
    caller read; a version that was edited since is rejected. Raises ValidationError, Conflict."""
    moved = _moved(unit, by, seen, TemplateMove.SUBMITTED, comment, revision)
    templates.check_submission(versions.count_steps(unit, moved.id))
    return moved


def approve(
    unit: TenantUnit, by: Actor, seen: VersionSnapshot, comment: str = "", revision: int | None = None
) -> Version:
    """Moves a version from submitted to approved. Raises ValidationError, Conflict."""
    return _moved(unit, by, seen, TemplateMove.APPROVED, comment, revision)


def reject(unit: TenantUnit, by: Actor, seen: VersionSnapshot, comment: str, revision: int | None = None) -> Version:
    """Moves a version from submitted or approved back to draft, with a required comment. Raises ValidationError,
    Conflict."""
    fields.GIVEN_COMMENT.check(comment, "comment")
    return _moved(unit, by, seen, TemplateMove.REJECTED, comment, revision)


def publish(
    unit: TenantUnit, by: Actor, seen: VersionSnapshot, comment: str = "", revision: int | None = None
) -> Version:
    """Moves a version from approved to published, and retires the previously published one. Raises ValidationError,
    Conflict.

    ``seen`` is the snapshot that the caller read; ``revision`` is the one that it must still have, or None for any.
    """
    template, version = seen
    changed = _checked(seen, TemplateMove.PUBLISHED, comment, revision)._replace(published_at=by.at)
    entries = [Entry(TemplateMove.PUBLISHED, version.number, comment)]
    if template.published is not None:
        entries.append(Entry(TemplateMove.RETIRED, template.published))
    templates.move(unit, by, template, template._replace(published=version.number), *entries)
    if template.published is not None:
        versions.retire(unit, template.id, template.published)
    return versions.change(unit, version, changed)


def archive(unit: TenantUnit, by: Actor, seen: Template, comment: str = "") -> Template:
    """Archives a template, which stops new jobs and moves. Raises ValidationError, Conflict."""
    return _archive_or_restore(unit, by, seen, TemplateMove.ARCHIVED, comment)


def restore(unit: TenantUnit, by: Actor, seen: Template, comment: str = "") -> Template:
    """Restores a template from the archive. Raises ValidationError, Conflict."""
    return _archive_or_restore(unit, by, seen, TemplateMove.RESTORED, comment)


def _moved(
    unit: TenantUnit,
    by: Actor,
    seen: VersionSnapshot,
    move: TemplateMove,
    comment: str = "",
    revision: int | None = None,
) -> Version:
    changed = _checked(seen, move, comment, revision)
    templates.move(unit, by, seen.template, seen.template, Entry(move, seen.version.number, comment))
    return versions.change(unit, seen.version, changed)


def _checked(seen: VersionSnapshot, move: TemplateMove, comment: str, revision: int | None) -> Version:
    """Returns the version after the move. Raises ValidationError, Conflict."""
    fields.COMMENT.check(comment, "comment")
    template, version = seen
    templates.check_archive(template.archived_at is not None, move)
    status = templates.after(VersionStatus(version.status), move)
    if revision is not None and revision != version.revision:
        raise Conflict(f"The version was edited in the meantime. It now has revision {version.revision}")
    edited = move is TemplateMove.EDITED
    return version._replace(status=status, revision=version.revision + edited)


def _archive_or_restore(unit: TenantUnit, by: Actor, seen: Template, move: TemplateMove, comment: str) -> Template:
    fields.COMMENT.check(comment, "comment")
    templates.check_archive(seen.archived_at is not None, move)
    changed = seen._replace(archived_at=by.at if move is TemplateMove.ARCHIVED else None)
    return templates.move(unit, by, seen, changed, Entry(move, None, comment))
