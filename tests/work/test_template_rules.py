"""The state machine of a template version, compared with a regular expression for its histories."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.errors import Conflict
from manifest_auth.work.templates import (
    FINAL,
    TRANSITIONS,
    TemplateMove,
    VersionStatus,
    after,
    check_archive,
    check_next,
    check_submission,
)
from tests.support.matrix import matrix

#: One letter for each move of a version.
LETTERS = {
    "E": TemplateMove.EDITED,
    "S": TemplateMove.SUBMITTED,
    "A": TemplateMove.APPROVED,
    "R": TemplateMove.REJECTED,
    "P": TemplateMove.PUBLISHED,
    "T": TemplateMove.RETIRED,
}
#: A version's life: edits and rejected submissions, then as far as the last submission gets.
LIFE = re.compile(r"(?:E|SR|SAR)*(?P<end>S|SA|SAP|SAPT)?")
END = {
    None: VersionStatus.DRAFT,
    "S": VersionStatus.SUBMITTED,
    "SA": VersionStatus.APPROVED,
    "SAP": VersionStatus.PUBLISHED,
    "SAPT": VersionStatus.RETIRED,
}


def lived(word: str) -> VersionStatus | None:
    """The status of a version after these moves; None if one of them is rejected."""
    status = VersionStatus.DRAFT
    for letter in word:
        try:
            status = after(status, LETTERS[letter])
        except Conflict:
            return None
    return status


@given(st.text("ESARPT", max_size=14))
def test_any_sequence_of_moves_is_a_life_or_is_rejected(word: str) -> None:
    life = LIFE.fullmatch(word)
    assert lived(word) == (END[life["end"]] if life else None)


@given(st.from_regex(LIFE, fullmatch=True))
def test_every_life_can_be_lived(word: str) -> None:
    life = LIFE.fullmatch(word)
    assert life is not None
    assert lived(word) == END[life["end"]]


@given(st.text("ESARPT", max_size=14), st.text("ESARPT", min_size=1, max_size=6))
def test_nothing_but_the_next_version_moves_what_was_published(word: str, more: str) -> None:
    status = lived(word)
    if status in FINAL:
        assert lived(word + more) is None or (status, more) == (VersionStatus.PUBLISHED, "T")


@matrix("move", LETTERS.values())
@matrix("status", VersionStatus)
def test_a_refusal_says_where_the_version_stands(status: VersionStatus, move: TemplateMove) -> None:
    if status in TRANSITIONS[move].sources:
        assert after(status, move) is TRANSITIONS[move].to
        return
    with pytest.raises(Conflict) as refused:
        after(status, move)
    word = "a draft" if status is VersionStatus.DRAFT else status.value.lower()
    assert refused.value.message.startswith(f"The version is {word}. To be {move.value.lower()}, it must be ")
    for source in TRANSITIONS[move].sources:
        assert source.value.lower() in refused.value.message


def test_the_moves_of_a_version_are_those() -> None:
    assert set(TRANSITIONS) == set(LETTERS.values())
    assert FINAL == (VersionStatus.PUBLISHED, VersionStatus.RETIRED)


@matrix("move", TemplateMove)
def test_the_archive_lets_out_and_nothing_else(move: TemplateMove) -> None:
    for archived in (True, False):
        if archived == (move is TemplateMove.RESTORED):
            check_archive(archived, move)
        else:
            with pytest.raises(Conflict, match="archived"):
                check_archive(archived, move)


@matrix("status", VersionStatus)
def test_the_next_version_waits_for_the_latest(status: VersionStatus) -> None:
    if status in FINAL:
        check_next(status)
    else:
        with pytest.raises(Conflict, match="latest version"):
            check_next(status)


@given(st.integers(0, 300))
def test_a_submission_has_steps(steps: int) -> None:
    if steps:
        check_submission(steps)
    else:
        with pytest.raises(Conflict, match="no steps"):
            check_submission(steps)


def test_the_names_of_states_are_those_of_the_schema() -> None:
    for kind in (VersionStatus, TemplateMove):
        declared: Any = SCHEMA.type_map[kind.__name__]
        assert list(declared.values) == [member.value for member in kind]
