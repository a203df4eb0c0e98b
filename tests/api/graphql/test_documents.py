"""The cache of valid GraphQL documents is limited in number and in size."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from manifest_auth.api.graphql import execution
from manifest_auth.api.graphql.execution import Documents
from tests.support.matrix import matrix


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The documents that were parsed, in order."""
    seen: list[str] = []

    def counting(query: str, **options: Any) -> Any:
        seen.append(query)
        return parse(query, **options)

    monkeypatch.setattr(execution, "parse", counting)
    return seen


def test_a_document_is_prepared_once(parsed: list[str]) -> None:
    known = Documents(introspects=False)
    first = known.prepare("{ me { id } }")
    assert known.prepare("{ me { id } }") is first
    assert parsed == ["{ me { id } }"]


def test_the_number_of_cached_documents_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "MAX_CACHED", 10)
    known = Documents(introspects=False)
    for number in range(50):
        assert not known.prepare(f"{{ a{number}: me {{ id }} }}").errors
        assert len(known) <= 10
    assert len(known) == 10


def test_the_size_of_cached_documents_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "MAX_CACHED_TEXT", 1000)
    known = Documents(introspects=False)
    for number in range(100):
        known.prepare(f"{{ a{number}: me {{ id }} }} #" + "x" * (number % 7) * 20)
        assert known.text <= 1000
    assert len(known) > 1


def test_the_limits_keep_a_process_small() -> None:
    assert execution.MAX_CACHED_TEXT <= 256 * 1024
    assert execution.MAX_CACHED_LENGTH * 8 <= execution.MAX_CACHED_TEXT


def test_the_oldest_is_evicted_first(monkeypatch: pytest.MonkeyPatch, parsed: list[str]) -> None:
    monkeypatch.setattr(execution, "MAX_CACHED", 2)
    known = Documents(introspects=False)
    texts = [f"{{ a{n}: me {{ id }} }}" for n in range(3)]
    for text in texts:
        known.prepare(text)
    parsed.clear()
    known.prepare(texts[2])
    known.prepare(texts[1])
    assert parsed == []
    known.prepare(texts[0])
    assert parsed == [texts[0]]


@matrix("query", ["{", "{ nothing }", "{ me }", "{ me { id } } #" + "x" * execution.MAX_CACHED_LENGTH])
def test_invalid_and_huge_documents_are_not_cached(query: str) -> None:
    known = Documents(introspects=False)
    known.prepare(query)
    assert (len(known), known.text) == (0, 0)


def test_a_cached_document_does_not_bypass_the_introspection_setting() -> None:
    query = "{ __schema { queryType { name } } }"
    assert not Documents(introspects=True).prepare(query).errors
    assert Documents(introspects=False).prepare(query).errors
