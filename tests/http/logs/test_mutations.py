"""A GraphQL mutation is logged with its name; a query isn't logged."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from tests.support.accounts import token_of
from tests.support.application import App
from tests.support.faults import logging_to
from tests.support.matrix import matrix

pytestmark = pytest.mark.one_store

NAMED = 'mutation Rename { editTemplate: createTemplate(input: {title: "secret title"}) { id } }'


async def lines_of(app: App, query: str, **members: Any) -> list[dict[str, Any]]:
    """The log lines about requests inside the block."""
    token = await token_of(app, "author@acme.example")
    log = mock.Mock()
    with logging_to(app, log):
        await app.post("/api/client/graphql", {"query": query, **members}, token=token)
    return [call.kwargs for call in log.info.call_args_list if call.args == ("request",)]


@matrix(
    ("query", "members", "operation", "fields"),
    [
        (NAMED, {}, "Rename", ("createTemplate",)),
        (NAMED.replace(" Rename", ""), {}, "", ("createTemplate",)),
        (f"query Other {{ me {{ id }} }} {NAMED}", {"operationName": "Rename"}, "Rename", ("createTemplate",)),
        (NAMED.replace("Rename", "x" * 200), {}, "x" * 64, ("createTemplate",)),
        ("mutation Wrong { noSuchField }", {}, "Wrong", ("noSuchField",)),
    ],
)
async def test_a_mutation_is_named(
    app: App, query: str, members: dict[str, Any], operation: str, fields: tuple[str, ...]
) -> None:
    [line] = await lines_of(app, query, **members)
    assert (line["operation"], line["fields"]) == (operation, fields)
    assert (line["route"], line["method"]) == ("/api/client/graphql", "POST")
    assert line["caller"].startswith("user:")
    assert "secret" not in str(line)


@matrix("query", ["{ me { id } }", "query Mutation { me { id } }", "not a document", "{ nonsense }"])
async def test_a_query_is_not(app: App, query: str) -> None:
    assert await lines_of(app, query) == []


async def test_of_several_operations_the_one_that_runs_counts(app: App) -> None:
    assert await lines_of(app, f"query Other {{ me {{ id }} }} {NAMED}", operationName="Other") == []
