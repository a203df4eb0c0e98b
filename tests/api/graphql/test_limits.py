"""Limits of a GraphQL document: if it's too large, it's rejected before validation, and never runs."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import execute, validate

from manifest_auth.api.graphql import execution, limits, plan
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.rules import rule


class Calls:
    """The number of validated documents and resolver calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.validated = self.resolved = 0
        run, short = execute, plan.run

        def validating(*arguments: Any, **options: Any) -> Any:
            self.validated += 1
            return validate(*arguments, **options)

        def executing(*arguments: Any, **options: Any) -> Any:
            self.resolved += 1
            return run(*arguments, **options)

        def planned(*arguments: Any) -> Any:
            self.resolved += 1
            return short(*arguments)

        monkeypatch.setattr(execution, "validate", validating)
        monkeypatch.setattr(execution, "execute", executing)
        monkeypatch.setattr(plan, "run", planned)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def fragments(count: int, spreads: int) -> str:
    """``count`` fragments that each spread the next one ``spreads`` times, giving 2 to the power of ``count``
    fields."""
    made = [f"fragment F{i} on Me {{ {f'...F{i + 1} ' * spreads} }}" for i in range(count)]
    return " ".join([*made, f"fragment F{count} on Me {{ id }}"])


def nested(depth: int) -> str:
    return "{ a " * depth + "b" + " }" * depth


BEFORE_VALIDATION = {
    "tokens": "{ me { " + "id " * limits.MAX_TOKENS + "} }",
    "length": '{ users(search: "' + "x" * 32_768 + '") { id } }',
    "comments": "{ me { id } } " + "#" * 32_768,
    "comment lines": "#\n" * (limits.MAX_TOKENS + 1) + "{ me { id } }",
    "depth": nested(limits.MAX_DEPTH + 1),
    "depth in a fragment": "{ me { ...F } } fragment F on Me " + nested(limits.MAX_DEPTH + 1),
    "depth through fragments": "{ me { ...A } } fragment A on Me { a { b { c { d { e { ...B } } } } } } "
    "fragment B on Me { f { g { h { i { j { k { l } } } } } } }",
    "aliases": "{ me { " + " ".join(f"a{i}: id" for i in range(limits.MAX_ALIASES + 1)) + " } }",
    "aliases in a fragment": "{ me { ...F } } fragment F on Me { "
    + " ".join(f"a{i}: id" for i in range(limits.MAX_ALIASES + 1))
    + " }",
    "root fields": "{ " + " ".join(f"f{i}" for i in range(limits.MAX_ROOT_FIELDS + 1)) + " }",
    "root fields in a fragment": "{ ...F } fragment F on Query { "
    + " ".join(f"f{i}" for i in range(limits.MAX_ROOT_FIELDS + 1))
    + " }",
    "arguments": "{ users(" + "a: 1 " * (limits.MAX_ARGUMENTS + 1) + ") { id } }",
    "variables": "query(" + " ".join(f"$a{i}: Int" for i in range(limits.MAX_VARIABLES + 1)) + ") { me { id } }",
    "introspections": "{ " + "__schema { types { name } } " * (limits.MAX_INTROSPECTIONS + 1) + "}",
    "directives on one field": "{ me { id " + "@include(if: true) " * (limits.MAX_DIRECTIVES + 1) + "} }",
    "directives over all": "{ me { " + "id @include(if: true) @skip(if: false) " * 30 + "} }",
    "directives on the operation": "query " + "@a " * (limits.MAX_DIRECTIVES + 1) + "{ me { id } }",
    "directives on a variable": "query ($a: Int " + "@a " * (limits.MAX_DIRECTIVES + 1) + ") { me { id } }",
    "repeated fields": "{ me { " + "roles { id } " * (limits.MAX_REPEATS + 2) + "} }",
    "repeated fields in a fragment": "{ me { ...F ...F } } fragment F on Me { "
    + "roles { id } " * (limits.MAX_REPEATS + 2)
    + "}",
    "repeated fields in an unused fragment": "{ me { id } } fragment F on Me { " + "id " * 1000 + "}",
    "fields": "{ me { " + " ".join(f"f{i}" for i in range(limits.MAX_FIELDS + 1)) + " } }",
    "fragment bomb": "{ me { ...F0 } } " + fragments(16, 2),
    "wide fragment bomb": "{ me { ...F0 } } " + fragments(4, 20),
    "definitions": "query Q { me { id } } "
    + " ".join(f"fragment F{i} on Me {{ id }}" for i in range(limits.MAX_DEFINITIONS)),
    "deep list": "{ users(first: " + "[" * 900 + "]" * 900 + ") { id } }",
    "open list": "{ users(first: " + "[" * 1900,
    "deep type": "query ($a: " + "[" * 900 + "Int" + "]" * 900 + ") { me { id } }",
    "deep object": "{ users(first: " + "{a:" * 600 + "1" + "}" * 600 + ") { id } }",
    "deep inline fragments": "{ " + "... { " * 600 + "me { id }" + " }" * 600 + " }",
    "open braces": "{" * 1990,
}


@rule("GRAPHQL-LIMITS")
@matrix("name", BEFORE_VALIDATION)
async def test_a_document_over_a_limit_is_not_validated_or_run(app: App, calls: Calls, name: str) -> None:
    token = (await app.sign_in(client="acme")).data["token"]
    accept = {"Accept": "application/graphql-response+json"}
    reply = await app.graphql(BEFORE_VALIDATION[name], token, headers=accept)
    assert reply.status == 400, reply.text[:300]
    [error] = reply.json["errors"]
    assert set(reply.json) == {"errors"}
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert (calls.validated, calls.resolved) == (0, 0)


CYCLES = {
    "itself": "{ me { ...A } } fragment A on Me { id ...A }",
    "two": "{ me { ...A } } fragment A on Me { ...B } fragment B on Me { ...A }",
    "unused": "{ me { id } } fragment A on Me { ...B } fragment B on Me { ...A }",
    "through a field": "{ me { ...A } } fragment A on Me { roles { ...A } }",
    "all with all": "{ me { ...F0 } } "
    + " ".join(f"fragment F{i} on Me {{ {' '.join(f'...F{j}' for j in range(5))} }}" for i in range(5)),
}


@rule("GRAPHQL-VALIDATION")
@matrix("name", CYCLES)
async def test_fragments_that_spread_themselves_are_rejected(app: App, calls: Calls, name: str) -> None:
    token = (await app.sign_in(client="acme")).data["token"]
    reply = await app.graphql(CYCLES[name], token)
    assert set(reply.json) == {"errors"}
    assert len(reply.json["errors"]) <= execution.MAX_ERRORS + 1
    assert calls.resolved == 0


@rule("GRAPHQL-VALIDATION")
async def test_validation_stops_after_few_errors(app: App, calls: Calls) -> None:
    token = (await app.sign_in(client="acme")).data["token"]
    reply = await app.graphql("{ me { " + " ".join(f"unknown{i}" for i in range(200)) + " } }", token)
    assert len(reply.json["errors"]) <= execution.MAX_ERRORS + 1
    assert (calls.validated, calls.resolved) == (1, 0)


ALLOWED = {
    "aliases": "{ me { " + " ".join(f"a{i}: id" for i in range(limits.MAX_ALIASES)) + " } }",
    "repeats": "{ me { " + "id " * (limits.MAX_REPEATS + 1) + "} }",
    "root fields": "{ " + " ".join(f"f{i}: me {{ id }}" for i in range(limits.MAX_ROOT_FIELDS)) + " }",
    "fragments": "{ me { ...F0 } } " + fragments(10, 1),
    "long text": '{ users(filter: {search: "' + "x" * 200 + '"}) { id } }',
}


@matrix("name", ALLOWED)
async def test_a_document_within_the_limits_runs(app: App, name: str) -> None:
    token = (await app.sign_in(client="acme")).data["token"]
    reply = await app.graphql(ALLOWED[name], token)
    assert "errors" not in reply.json, reply.text
