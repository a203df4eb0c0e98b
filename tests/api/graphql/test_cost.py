"""The cost of a GraphQL document is calculated before it runs, with the request's variables and through fragments."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLError, parse

from manifest_auth.api.graphql import execution, limits, wire
from manifest_auth.api.graphql.schema import SCHEMA
from tests.support.application import App
from tests.support.matrix import matrix

COSTS = [
    ("{ me { id } }", {}, 2),
    ("{ me { roles { id name } } }", {}, 2 + 7 * 2),
    ("{ users { id } }", {}, 1 + 50),
    ("{ users(first: 3) { id email } }", {}, 1 + 3 * 2),
    ("{ users(first: 3) { roles { id } } }", {}, 1 + 3 * (1 + 7)),
    ("{ a: users(first: 3) { id } b: users(first: 4) { id } }", {}, 4 + 5),
    ("query($n: Int) { users(first: $n) { id } }", {"n": 5}, 6),
    ("query($n: Int) { users(first: $n) { id } }", {}, 51),
    ("query($n: Int = 9) { users(first: $n) { id } }", {}, 10),
    ("query($n: Int = 9) { users(first: $n) { id } }", {"n": 2}, 3),
    ("query($n: Int) { users(first: $n) { id } }", {"n": None}, 51),
    ("query($n: Int) { users(first: $n) { id } }", {"n": "5"}, 101),
    ("query($n: Int) { users(first: $n) { id } }", {"n": -5}, 101),
    ("{ users(first: 1000000) { id } }", {}, 101),
    ("{ users(first: 0) { id } }", {}, 101),
    ("{ users(first: 2) { ...F ...F } } fragment F on User { id email }", {}, 1 + 2 * 4),
    ("{ users(first: 2) { ... on User { id } ... { email } } }", {}, 1 + 2 * 2),
    ("{ usersPage(first: 3) { items { id } total } }", {}, 1 + 3 * 3),
    ("{ template(id: 1) { latestVersion { steps { number instructions } } } }", {}, 3 + 20 * 11),
    ("mutation { endUserSessions(userId: 1) }", {}, 1),
    ("{ __schema { types { name } } }", {}, 1),
]


def counted(text: str, variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(limits, "MAX_COST", most)
    limits.check_cost(SCHEMA, parse(text), None, variables)


@matrix(("text", "variables", "expected"), COSTS)
def test_a_document_costs_its_fields_times_the_items(
    text: str, variables: dict[str, Any], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(text, variables, monkeypatch, expected)
    with pytest.raises(GraphQLError, match=f"costs {expected},"):
        counted(text, variables, monkeypatch, expected - 1)


def test_only_the_requested_operation_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COST", 2)
    document = parse("query A { me { id } } query B { users { id } }")
    limits.check_cost(SCHEMA, document, "A", {})
    with pytest.raises(GraphQLError):
        limits.check_cost(SCHEMA, document, "B", {})


DEAR = """query($n: Int) { jobs(first: $n) { id steps { number title records { number text } } } }"""


async def test_a_too_expensive_query_is_rejected_before_it_runs(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    token = (await app.sign_in(client="acme")).data["token"]

    def executing(*_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("it ran")

    monkeypatch.setattr(execution, "execute", executing)
    accept = {"Accept": "application/graphql-response+json"}
    body = {"query": DEAR, "variables": {"n": 100}}
    reply = await app.post(wire.PATH, body, token=token, headers=accept)
    assert reply.status == 400
    [error] = reply.json["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert str(limits.MAX_COST) in error["message"]
    assert set(reply.json) == {"errors"}
