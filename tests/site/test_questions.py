"""The twenty questions have their answers on the pages that are named."""

from __future__ import annotations

import pytest

from tests.architecture.docs_pages import text_of
from tests.site.questions import QUESTIONS, Question


def test_there_are_twenty_of_integrators_administrators_and_operators() -> None:
    assert len(QUESTIONS) == 20
    assert {question.who for question in QUESTIONS} == {"integrator", "administrator", "operator"}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.question)
def test_the_page_has_the_answer(question: Question) -> None:
    assert question.answer in " ".join(text_of(f"{question.page}.md").split())
