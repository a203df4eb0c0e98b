"""The state machine of template versions, as pure functions: which move is allowed in which state.

A version is a draft, then submitted, approved and published, and finally retired by the next published version; a
rejection leads back to the draft. Names are those of the wire.
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
    """The status after a move. Raises Conflict, which names the present status."""
    transition = TRANSITIONS[move]
    if status not in transition.sources:
        must = _names(*transition.sources)
        raise Conflict(f"The version is {_names(status)}: to be {move.lower()} it must be {must}")
    return transition.to


def check_archive(archived: bool, move: TemplateMove) -> None:
    """An archived template can only be restored, and only an archived one. Raises Conflict."""
    if archived and move is not TemplateMove.RESTORED:
        raise Conflict("The template is archived: restore it first")
    if not archived and move is TemplateMove.RESTORED:
        raise Conflict("The template is not archived")


def check_next(latest: VersionStatus) -> None:
    """Only one version is in preparation at a time. Raises Conflict when the latest one is."""
    if latest not in FINAL:
        raise Conflict(f"The latest version is {_names(latest)}: a new one begins when it is published")


def check_submission(steps: int) -> None:
    """Raises Conflict for a version without steps."""
    if steps == 0:
        raise Conflict("The version has no steps: set them first")


def _names(*statuses: VersionStatus) -> str:
    return " or ".join("a draft" if status is VersionStatus.DRAFT else status.lower() for status in statuses)
