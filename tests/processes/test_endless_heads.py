"""Endless parts of a request are rejected (a head, a trailer, or a chunk extension), but a long body isn't."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.processes.raw_http import HOST, LINE, SIGN_IN, talk
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.server import Server, served

CHUNKED = SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n"
#: Each is rejected before it ends, and the server stores no more of it.
UNFINISHED = {
    "a target": b"GET /",
    "a header name": LINE + HOST + b"X-",
    "a header value": LINE + HOST + b"X-A: ",
    "a chunk's extension": CHUNKED + b"2;x=",
    "a trailer after the last chunk": CHUNKED + b"2\r\n{}\r\n0\r\nX-A: ",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("heads"), demo="") as running:
        yield running


@rule("FRAMING")
@matrix("name", UNFINISHED)
def test_what_does_not_end_is_rejected(server: Server, name: str) -> None:
    answers, closed = talk(server, UNFINISHED[name] + b"a" * 34 * 1024, b"a" * 1024 * 1024)
    assert closed
    assert [a.status for a in answers] in ([400], [])  # a reset can overtake the response


def test_a_long_body_in_small_chunks_is_no_long_head(server: Server) -> None:
    chunks = b"".join(b"1\r\n \r\n" for _ in range(20_000)) + b"2\r\n{}\r\n0\r\n\r\n"
    for size in (1_000, 50_000, len(chunks)):
        pieces = [chunks[start : start + size] for start in range(0, len(chunks), size)]
        answers, _ = talk(server, CHUNKED, *pieces)
        assert [json.loads(a.body)["error"]["code"] for a in answers] == ["VALIDATION_ERROR"]
        assert b"not valid HTTP" not in answers[0].body
