"""What people do with templates: write, submit, approve, reject, publish, archive.

Each verb acts on what its caller has **seen** of the template, read before the unit of work was opened. Its first
statement counts the template's log up from there; when anything happened meanwhile, it changes nothing and the caller
gets CONFLICT. So of two who act at once one wins, and the log has exactly the winners.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from manifest_auth.errors import Conflict
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import check_line, check_prose
from manifest_auth.work import steps, template_rules, templates, versions
from manifest_auth.work.actor import Actor
from manifest_auth.work.steps import NewStep
from manifest_auth.work.template_log import Entry
from manifest_auth.work.template_rules import TemplateMove, VersionStatus
from manifest_auth.work.templates import Template
from manifest_auth.work.versions import Version

NAME_LIMIT = 200
DESCRIPTION_LIMIT = 10_000
COMMENT_LIMIT = 2000


class Seen(NamedTuple):
    """A version, and its template, as somebody saw them who wants to act on them."""

    template: Template
    version: Version


def see(unit: TenantUnit, version_id: int) -> Seen:
    """Raises NotFound."""
    version = versions.get(unit, version_id)
    return Seen(templates.get(unit, version.template_id), version)


def see_latest(unit: TenantUnit, template_id: int) -> Seen:
    """Raises NotFound."""
    template = templates.get(unit, template_id)
    [version] = versions.latest_of(unit, [template_id])
    return Seen(template, version)


def add(unit: TenantUnit, by: Actor, name: str, description: str = "", of: Sequence[NewStep] = ()) -> Template:
    """A template with its first version, a draft. Raises ValidationError."""
    check_line(name, "name", NAME_LIMIT)
    check_prose(description, "description", DESCRIPTION_LIMIT)
    steps.check(of)
    template = templates.add(unit, by, name, description, Entry(TemplateMove.CREATED, 1))
    draft = versions.add(unit, by, template.id, 1)
    steps.put(unit, draft.id, of)
    return template


def rename(
    unit: TenantUnit, by: Actor, seen: Template, *, name: str | None = None, description: str | None = None
) -> Template:
    """Another name or description; None leaves it. What changes nothing is not logged. Raises ValidationError,
    Conflict."""
    changed = seen._replace(
        name=seen.name if name is None else check_line(name, "name", NAME_LIMIT),
        description=seen.description
        if description is None
        else check_prose(description, "description", DESCRIPTION_LIMIT),
    )
    template_rules.check_archive(seen.archived_at is not None, TemplateMove.CHANGED)
    if changed == seen:
        return templates.check_seen(unit, seen)
    return templates.move(unit, by, seen, changed, Entry(TemplateMove.CHANGED))


def add_version(unit: TenantUnit, by: Actor, seen: Seen) -> Version:
    """The next version, a draft that begins with the steps of the latest one, which ``seen`` holds. Raises Conflict."""
    template, latest = seen
    template_rules.check_archive(template.archived_at is not None, TemplateMove.VERSION_ADDED)
    template_rules.check_next(VersionStatus(latest.status))
    number = template.versions + 1
    entry = Entry(TemplateMove.VERSION_ADDED, number)
    templates.move(unit, by, template, template._replace(versions=number), entry)
    draft = versions.add(unit, by, template.id, number)
    before = steps.of_versions(unit, [latest.id])
    steps.put(unit, draft.id, [NewStep(s.title, s.instructions, bool(s.requires_evidence)) for s in before])
    return draft


def edit(unit: TenantUnit, by: Actor, seen: Seen, revision: int, to: Sequence[NewStep]) -> Version:
    """A draft's steps anew. ``revision``: of the draft that they were made from. Raises ValidationError, Conflict."""
    steps.check(to)
    changed = _moved(unit, by, seen, TemplateMove.EDITED, revision=revision)
    steps.put(unit, changed.id, to)
    return changed


def submit(unit: TenantUnit, by: Actor, seen: Seen, comment: str = "", revision: int | None = None) -> Version:
    """Draft to submitted. As for the other moves, ``revision`` is the one that the caller has read, if they say so; a
    version that was edited since is not moved. Raises ValidationError, Conflict."""
    moved = _moved(unit, by, seen, TemplateMove.SUBMITTED, comment, revision)
    template_rules.check_submission(steps.count(unit, moved.id))
    return moved


def approve(unit: TenantUnit, by: Actor, seen: Seen, comment: str = "", revision: int | None = None) -> Version:
    """Submitted to approved. Raises ValidationError, Conflict."""
    return _moved(unit, by, seen, TemplateMove.APPROVED, comment, revision)


def reject(unit: TenantUnit, by: Actor, seen: Seen, comment: str, revision: int | None = None) -> Version:
    """Submitted or approved back to draft, with words that say why. Raises ValidationError, Conflict."""
    check_prose(comment, "comment", COMMENT_LIMIT, empty=False)
    return _moved(unit, by, seen, TemplateMove.REJECTED, comment, revision)


def publish(unit: TenantUnit, by: Actor, seen: Seen, comment: str = "", revision: int | None = None) -> Version:
    """Approved to published; the version that was published before is retired. Raises ValidationError, Conflict."""
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
    """No new jobs and no moves from now on. Raises ValidationError, Conflict."""
    return _shelved(unit, by, seen, TemplateMove.ARCHIVED, comment)


def restore(unit: TenantUnit, by: Actor, seen: Template, comment: str = "") -> Template:
    """Takes it out of the archive. Raises ValidationError, Conflict."""
    return _shelved(unit, by, seen, TemplateMove.RESTORED, comment)


def _moved(
    unit: TenantUnit, by: Actor, seen: Seen, move: TemplateMove, comment: str = "", revision: int | None = None
) -> Version:
    changed = _checked(seen, move, comment, revision)
    templates.move(unit, by, seen.template, seen.template, Entry(move, seen.version.number, comment))
    return versions.change(unit, seen.version, changed)


def _checked(seen: Seen, move: TemplateMove, comment: str, revision: int | None) -> Version:
    """The version as the move leaves it."""
    check_prose(comment, "comment", COMMENT_LIMIT)
    template, version = seen
    template_rules.check_archive(template.archived_at is not None, move)
    status = template_rules.after(VersionStatus(version.status), move)
    if revision is not None and revision != version.revision:
        raise Conflict(f"The version was edited since: it is at revision {version.revision}")
    edited = move is TemplateMove.EDITED
    return version._replace(status=status, revision=version.revision + edited)


def _shelved(unit: TenantUnit, by: Actor, seen: Template, move: TemplateMove, comment: str) -> Template:
    check_prose(comment, "comment", COMMENT_LIMIT)
    template_rules.check_archive(seen.archived_at is not None, move)
    changed = seen._replace(archived_at=by.at if move is TemplateMove.ARCHIVED else None)
    return templates.move(unit, by, seen, changed, Entry(move, None, comment))
