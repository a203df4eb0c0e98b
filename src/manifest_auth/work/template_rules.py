"""The editorial life of a template, as a pure machine: which move leads from where to where (contract, section 7).

A version is a draft, is submitted, approved and published, and at last retired by the version that is published after
it; a rejection leads back to the draft. Names are those of the wire.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from manifest_auth.errors import Conflict


class VersionStatus(StrEnum):
    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


#: What was published once. Nothing of it is ever changed, except that the next version retires it.
FINAL = (VersionStatus.PUBLISHED, VersionStatus.RETIRED)


class TemplateMove(StrEnum):
    """What can happen to a template or to one of its versions."""

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


class _Leads(NamedTuple):
    sources: tuple[VersionStatus, ...]
    to: VersionStatus


_S, _M = VersionStatus, TemplateMove
#: The moves of a version. Nothing leads out of RETIRED, and out of PUBLISHED only a newer version does.
LEADS: dict[TemplateMove, _Leads] = {
    _M.EDITED: _Leads((_S.DRAFT,), _S.DRAFT),
    _M.SUBMITTED: _Leads((_S.DRAFT,), _S.SUBMITTED),
    _M.APPROVED: _Leads((_S.SUBMITTED,), _S.APPROVED),
    _M.REJECTED: _Leads((_S.SUBMITTED, _S.APPROVED), _S.DRAFT),
    _M.PUBLISHED: _Leads((_S.APPROVED,), _S.PUBLISHED),
    _M.RETIRED: _Leads((_S.PUBLISHED,), _S.RETIRED),
}


def after(status: VersionStatus, move: TemplateMove) -> VersionStatus:
    """Where the move leads a version. Raises Conflict, which says where the version stands."""
    leads = LEADS[move]
    if status not in leads.sources:
        must = _words(*leads.sources)
        raise Conflict(f"The version is {_words(status)}: to be {move.lower()} it must be {must}")
    return leads.to


def check_archive(archived: bool, move: TemplateMove) -> None:
    """A template in the archive only comes out of it again; one that is not there does not. Raises Conflict."""
    if archived and move is not TemplateMove.RESTORED:
        raise Conflict("The template is archived: restore it first")
    if not archived and move is TemplateMove.RESTORED:
        raise Conflict("The template is not archived")


def check_next(latest: VersionStatus) -> None:
    """One version is under way at a time. Raises Conflict when the latest one is."""
    if latest not in FINAL:
        raise Conflict(f"The latest version is {_words(latest)}: a new one begins when it is published")


def check_submission(steps: int) -> None:
    """Raises Conflict: a version without steps is nothing to approve."""
    if steps == 0:
        raise Conflict("The version has no steps: set them first")


def _words(*statuses: VersionStatus) -> str:
    return " or ".join("a draft" if status is VersionStatus.DRAFT else status.lower() for status in statuses)
