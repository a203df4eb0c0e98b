"""JSON from other servers is rejected if two parsers could read it differently."""

from __future__ import annotations

import json

import pytest

from manifest_auth.runtime.outgoing_guard import Reply, parse
from manifest_auth.text.strict_json import MAX_DEPTH
from tests.support.matrix import matrix


@matrix("value", [{}, [], {"a": [1, 2.5, None, True, "ü\n\U0001f600"]}, [{"a": {"b": []}}]])
def test_objects_and_lists_are_read(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


def test_a_mark_at_the_beginning_of_an_answer_is_overlooked() -> None:
    assert Reply(200, {}, b"\xef\xbb\xbf{}").json() == {}


@matrix(
    "raw",
    [
        b"",
        b"null",
        b'"text"',
        b"17",
        b"{",
        b"{}{}",
        b"{} x",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "\\u0061": 2}',
        b'[{"b": {"a": 1, "a": 1}}]',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\xff"}',
        '{"a": "ü"}'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32"),
        b'{"a": "tab\there"}',
        b'{"a": ' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    ],
)
def test_anything_else_is_rejected(raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse(raw)


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
