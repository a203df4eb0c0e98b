"""The fast path for simple GraphQL queries gives exactly the executor's result, and leaves all others to it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphql import execute, parse

from manifest_auth.api.graphql import plan
from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.errors import Forbidden
from manifest_auth.permissions import Role, mask_of
from tests.support.matrix import matrix
from tests.support.roles import principal

ROLES = mask_of([Role.AUTHOR, Role.USER_ADMIN])


def context(**changed: Any) -> Any:
    return SimpleNamespace(user=principal(**{"held_roles": ROLES, **changed}))


PLANNED = [
    "{ me { id email } }",
    "query Q { me { id } }",
    "{ who: me { mail: email number: id } me { title } }",
    "{ me { roles { id name description } } }",
    "{ me { permissions client { id identifier name } firstName lastName } }",
]
NOT_PLANNED = [
    "{ __typename }",
    "{ me { __typename id } }",
    "{ me { ...F } } fragment F on Me { id }",
    "{ me { ... on Me { id } } }",
    "{ me { id @include(if: true) } }",
    "query Q @skip(if: false) { me { id } }",
    "query Q($x: Int) { users(first: $x) { id } }",
    "{ users { id } }",
    "{ me { id } me { email } }",
    "{ me { id id } }",
    "query A { me { id } } query B { me { email } }",
]


@matrix("text", PLANNED)
def test_a_plan_returns_the_same_as_the_executor(text: str) -> None:
    document = parse(text)
    made = plan.build(SCHEMA, document)
    assert made is not None
    expected: Any = execute(SCHEMA, document, context_value=context())
    assert expected.errors is None
    assert orjson.dumps(plan.run(made, context())) == orjson.dumps(expected.data)


@matrix("text", NOT_PLANNED)
def test_documents_that_need_the_executor_get_no_plan(text: str) -> None:
    assert plan.build(SCHEMA, parse(text)) is None


@matrix("changed", [{"email": None}, {"user_id": 2**40}, {"user_id": True}, {"title": 5}])
def test_a_value_that_does_not_fit_its_type_is_left_to_the_executor(changed: dict[str, Any]) -> None:
    made = plan.build(SCHEMA, parse("{ me { id email title } }"))
    assert made is not None
    with pytest.raises(plan.Unplanned):
        plan.run(made, context(**changed))


def test_a_refusal_is_left_to_the_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_root: Any, _info: Any) -> Any:
        raise Forbidden()

    assert SCHEMA.query_type is not None
    monkeypatch.setattr(SCHEMA.query_type.fields["me"], "resolve", refused)
    made = plan.build(SCHEMA, parse("{ me { id } }"))
    assert made is not None
    with pytest.raises(plan.Unplanned):
        plan.run(made, context(held_roles=0))
