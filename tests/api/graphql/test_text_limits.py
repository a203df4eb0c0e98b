"""GraphQL tokens and JSON values are counted before parsing, with the same result as in the parsers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql import GraphQLError, Lexer, Source, TokenKind, get_introspection_query
from hypothesis import example, given
from hypothesis import strategies as st

from manifest_auth.api.graphql import limits
from manifest_auth.api.graphql.execution import Documents
from manifest_auth.errors import ValidationError
from tests.support.application import App
from tests.support.matrix import matrix


def lexed(text: str) -> int | None:
    """The number of tokens that the engine finds, including comments; None if it finds an error."""
    lexer, count = Lexer(Source(text)), 0
    try:
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            count += 1
    except GraphQLError:
        return None
    while (token := token.prev) is not None:  # type: ignore[assignment]  # comments are passed over
        count += token.kind is TokenKind.COMMENT
    return count


def counted(text: str) -> int:
    return sum(1 for _ in limits._TOKEN.finditer(text))


PARTS = ('"', '"""', "\\", '\\"""', "\n", "\r", "#", "a", "é", "1", "-", ".", "...", "{", "}", "(", ":", "$", "&", "@",
         "|", ",", " ", "\t", "\ufeff", "_b", "e5", "\\n", "\\u0041")  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
@example('{ a(b: """x " y "" \\""" z""") # " comment\n c: "d \\" \\\\" }')
@example('{ a(b: """"quoted"\n""", c: "", d: """""") }')
@example("{ a(b: [1, -1.5e-3, 0], c: {d: $e, f: ENUM}) ...G @h(i: null) ... on J { k } }")
@example("{ a(b: [1-1-1 2.5-3e1-0]) }")
def test_tokens_are_counted_as_the_engine_does(text: str) -> None:
    expected = lexed(text)
    if expected is not None:
        assert counted(text) == expected


@matrix(
    "document",
    ["{{ user(id: {0}) {{ id }} }}", "query($id: Int = -{0}) {{ user(id: $id) {{ id }} }}", "{{ me {{ id {0} }} }}",
     "{{ jobs(first: 0{0}, filter: {{assetId: {0}.5e3}}) {{ id }} }}"],
)  # fmt: skip
async def test_no_number_is_too_long_to_be_read(app: App, document: str) -> None:
    reply = await app.graphql(document.format("9" * 5000), (await app.sign_in()).data["token"])
    [error] = reply.json["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"] == "A number of more than 400 characters"


async def test_digits_in_strings_are_not_numbers_and_all_finite_numbers_fit(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    digits = "9" * 150
    for text in (f'"{digits}"', f'"""{digits}"""'):
        document = f"{{ jobs(filter: {{ search: {text} }}) {{ id }} }}"
        assert "errors" not in (await app.graphql(document, token)).json
    digits = "9" * 500
    assert limits.check_text(f'{{ a(b: "{digits}") }} # {digits}') is None
    assert limits.check_text(f"{{ a(b: -{1.7e308:f}, c: {5e-324:.340f}) }}") is None


def signs(value: Any) -> int:
    """Count opening brackets and commas."""
    if isinstance(value, dict | list):
        members = list(value.values()) if isinstance(value, dict) else value
        return max(len(members), 1) + sum(map(signs, members))
    return 0


TEXTS = st.text(st.sampled_from('a,[{"\\é\n')) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=40,
)


@given(JSON, st.booleans())
@example(["\\", ",\\", '"', {"[": [1, {}]}], False)
def test_values_are_counted_by_their_separators(value: Any, is_ascii: bool) -> None:
    body = json.dumps({"variables": value}, ensure_ascii=is_ascii).encode()
    expected = signs({"variables": value})
    with pytest.MonkeyPatch.context() as patched:
        for most in {expected - 1, expected, expected + 1}:
            patched.setattr(limits, "MAX_VALUES", most)
            if expected > most:
                with pytest.raises(ValidationError):
                    limits.check_body(body)
            else:
                limits.check_body(body)


NEWER = ("directive_is_repeatable", "specified_by_url", "schema_description", "input_value_deprecation")


@matrix("options", [{}, {"descriptions": False}, dict.fromkeys(NEWER, True)])
async def test_the_introspection_query_of_tools_is_within_the_limits(app: App, options: dict[str, bool]) -> None:
    query = get_introspection_query(**options)
    reply = await app.graphql(query, (await app.sign_in()).data["token"])
    assert "errors" not in reply.json, reply.text
    names = {kind["name"] for kind in reply.json["data"]["__schema"]["types"]}
    assert {"Query", "Mutation", "Job", "AddJobInput"} <= names


def test_introspection_has_its_own_limits() -> None:
    known = Documents(introspects=True)
    deep = "{ __schema { types { fields { type { " + "ofType { " * 20 + "name" + " }" * 20 + " } } } } }"
    for text in (
        deep,
        deep.replace("{ __schema", '{ __type(name: "Job") { fields { type { ofType { name } } } } __schema'),
    ):
        [error] = known.prepare(text).errors
        assert f"deeper than {limits.MAX_INTROSPECTION_DEPTH} levels" in error.message
    often = "{ " + " ".join(f"a{number}: __schema {{ types {{ name }} }}" for number in range(3)) + " }"
    [error] = known.prepare(often).errors
    assert "introspections" in error.message
    [error] = known.prepare("{ me { " + "client { " * 12 + "id" + " }" * 12 + " } }").errors
    assert f"deeper than {limits.MAX_DEPTH} levels" in error.message
