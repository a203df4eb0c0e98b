"""The docs page about templates is correct: its diagram, transition table, limits, and documents."""

from __future__ import annotations

import re

from graphql import parse, validate

from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.text import fields
from manifest_auth.work import versions
from manifest_auth.work.templates import TRANSITIONS, TemplateMove
from tests.architecture.links import ROOT
from tests.support.matrix import matrix

PAGE = (ROOT / "docs" / "work.md").read_text("utf-8")
TEMPLATES = PAGE.partition("## Templates")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for row in re.findall(r"^\| `\w+Template(?:Version)?` \|.*$", TEMPLATES, re.MULTILINE)
]


def test_the_diagram_of_versions_is_the_machine() -> None:
    drawn = set(re.findall(r"^ +(\w+) --> (\w+): ", TEMPLATES, re.MULTILINE))
    assert drawn == {
        (source.value.lower(), leads.to.value.lower()) for leads in TRANSITIONS.values() for source in leads.sources
    }


def test_the_table_of_moves_is_the_machine_and_the_schema() -> None:
    mutations = SCHEMA.mutation_type
    assert mutations is not None
    assert {row[0].strip("`") for row in ROWS} == {name for name in mutations.fields if "Template" in name}
    for call, needs, source, to, log in ROWS:
        field = mutations.fields[call.strip("`")]
        assert field.extensions["permission"].value == needs.strip("`")
        moves = [TemplateMove(name) for name in re.findall(r"`(\w+)`", log)]
        leads = TRANSITIONS.get(moves[0])
        if leads is not None:
            assert source.split(", ") == [status.value.lower() for status in leads.sources]
            assert to == leads.to.value.lower()
    assert {name for row in ROWS for name in re.findall(r"`(\w+)`", row[4])} == {move.value for move in TemplateMove}


def test_the_limits_are_told_as_they_are() -> None:
    told = re.search(r"^Limits: a name has.*?\n\n", TEMPLATES, re.MULTILINE | re.DOTALL)
    assert told is not None
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d|\d", told[0])]
    assert numbers == [
        1, fields.WORK_NAME.most, fields.WORK_DESCRIPTION.most, fields.COMMENT.most,
        versions.MOST_STEPS, 1, fields.STEP_TITLE.most, fields.INSTRUCTIONS.most,
    ]  # fmt: skip


@matrix("document", re.findall(r"^```graphql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_the_documents_are_valid(document: str) -> None:
    assert validate(SCHEMA, parse(document)) == []


def test_there_are_documents_to_try() -> None:
    assert PAGE.count("```graphql\n") >= 3
