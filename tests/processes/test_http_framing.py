"""Any bytes on a socket except plain HTTP/1.1 get a 400 in the envelope, and the connection closes."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest

from tests.processes.raw_http import HOST, LINE, SIGN_IN, Seen, talk
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.server import Server, served

SMUGGLED = b"GET /api/client/auth/me HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("framing"), demo=False) as running:  # type: ignore[arg-type]
        yield running


def check_refused_and_closed(answers: list[Seen], closed: bool) -> None:
    assert len(answers) == 1, answers
    seen = answers[0]
    assert seen.status == 400
    assert closed
    error = json.loads(seen.body)["error"]
    assert json.loads(seen.body)["success"] is False
    assert error["code"] == "VALIDATION_ERROR"
    assert [error["requestId"]] == seen.header("x-request-id")
    assert seen.header("content-type") == ["application/json; charset=utf-8"]
    assert seen.header("cache-control") == ["no-store"]
    assert seen.header("x-content-type-options") == ["nosniff"]
    assert seen.header("content-security-policy") == ["default-src 'none'; frame-ancestors 'none'"]
    assert not seen.header("server")
    assert not seen.header("x-powered-by")
    assert not re.search(rb"Traceback|httptools|uvicorn|\.py", seen.body)


REFUSED = {
    "no HTTP at all": b"hello\r\n\r\n",
    "binary garbage": bytes(range(256)) * 2,
    "a TLS hello": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\0" * 160,
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method that does not exist": b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a version that does not exist": b"GET /healthz HTTP/3.7\r\n" + HOST + b"\r\n",
    "no version": b"GET /healthz \r\n" + HOST + b"\r\n",
    "a space too many": b"GET /healthz /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a NUL in the target": b"GET /heal\0thz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a raw byte in the target": b"GET /heal\xfcthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control character in the target": b"GET /heal\x07thz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space before the colon": LINE + b"Host : 127.0.0.1\r\n\r\n",
    "a space in front of a name": LINE + HOST + b" X-A: 1\r\n\r\n",
    "a space before the colon of a length": SIGN_IN + b"Content-Length : 2\r\n\r\n{}",
    "an empty name": LINE + HOST + b": empty\r\n\r\n",
    "no colon": LINE + HOST + b"X-A\r\n\r\n",
    "a folded line": LINE + HOST + b"X-A: 1\r\n 2\r\n\r\n",
    "a folded line by tab": LINE + HOST + b"X-A: 1\r\n\t2\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n",
    "a bare line feed in the head": LINE + HOST + b"X-A: 1\nX-B: 2\r\n\r\n",
    "a bare carriage return in a value": LINE + HOST + b"X-A: 1\rX-B: 2\r\n\r\n",
    "a NUL in a value": LINE + HOST + b"X-A: a\0b\r\n\r\n",
    "a NUL in a name": LINE + HOST + b"X\0A: b\r\n\r\n",
    "a control character in a name": LINE + HOST + b"X\x01A: b\r\n\r\n",
    "a raw byte in a name": LINE + HOST + b"X\xfcA: b\r\n\r\n",
    "a length and chunks": SIGN_IN + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and a length": SIGN_IN + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": SIGN_IN + b"Content-Length: 2\r\nContent-Length: 50\r\n\r\n{}" + SMUGGLED,
    "the same length twice": SIGN_IN + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": SIGN_IN + b"Content-Length: 2, 2\r\n\r\n{}",
    "a negative length": SIGN_IN + b"Content-Length: -1\r\n\r\n{}",
    "a length with a plus": SIGN_IN + b"Content-Length: +2\r\n\r\n{}",
    "a hexadecimal length": SIGN_IN + b"Content-Length: 0x2\r\n\r\n{}",
    "a length of words": SIGN_IN + b"Content-Length: two\r\n\r\n{}",
    "an empty length": SIGN_IN + b"Content-Length:\r\n\r\n{}",
    "a length beyond all bounds": SIGN_IN + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    "a length with a space inside": SIGN_IN + b"Content-Length: 2 2\r\n\r\n{}",
    "chunked that is not last": SIGN_IN + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "another transfer coding": SIGN_IN + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "a disguised transfer coding": SIGN_IN + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a transfer coding with a tab": SIGN_IN + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a chunk size of words": SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a huge chunk size": SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than its size": SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a bare line feed after a chunk size": SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "a header over 32 KiB": LINE + HOST + b"X-A: " + b"a" * 33 * 1024 + b"\r\n\r\n",
    "many headers over 32 KiB": LINE + HOST + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 90) for n in range(400)) + b"\r\n",
    "a target over 32 KiB": b"GET /" + b"a" * 33 * 1024 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "an endless header name": LINE + HOST + b"a" * 40_000 + b": 1\r\n\r\n",
    "a CONNECT": b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a preface of another version": b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "a target without a slash": b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n",
}


@rule("FRAMING", "LAST-RESORT")
@matrix("name", REFUSED)
def test_an_invalid_plain_http_is_400_and_the_end_of_the_connection(server: Server, name: str) -> None:
    check_refused_and_closed(*talk(server, REFUSED[name]))


def test_the_asterisk_form_is_not_found(server: Server) -> None:
    answers, _ = talk(server, b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
    assert [a.status for a in answers] == [404]


def test_a_refusal_is_never_taken_for_the_answer_to_an_earlier_request(server: Server) -> None:
    first = b"GET /api/client/auth/me HTTP/1.1\r\n" + HOST + b"X-Request-ID: first-request\r\n\r\n"
    for garbage in (b"hello\r\n\r\n", LINE + b"Host : x\r\n\r\n", LINE + HOST + b"Content-Length: -1\r\n\r\n"):
        answers, closed = talk(server, first + garbage)
        assert closed
        assert (answers[0].status, answers[0].header("x-request-id")) == (401, ["first-request"])
        assert [a.status for a in answers[1:]] in ([], [400])
        answers, closed = talk(server, first + first + garbage)
        assert ([a.status for a in answers], closed) == ([401, 401], True)


def test_a_broken_body_of_a_later_request_ends_the_connection(server: Server) -> None:
    broken = SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    answers, closed = talk(server, LINE + HOST + b"\r\n" + broken)
    assert closed
    assert [a.status for a in answers] in ([], [200])
    check_refused_and_closed(*talk(server, broken))


def test_nothing_behind_a_refusal_is_answered(server: Server) -> None:
    pieces = [LINE + b"Host : x\r\n\r\n", LINE + HOST + b"\r\n"]
    check_refused_and_closed(*talk(server, b"".join(pieces)))


@rule("FRAMING")
def test_two_hosts_are_rejected(server: Server) -> None:
    for second in (b"Host: 127.0.0.1\r\n", b"HOST: evil.example\r\n", b"host:\r\n"):
        answers, _ = talk(server, LINE + HOST + second + b"\r\n")
        assert [a.status for a in answers] == [400]
        assert json.loads(answers[0].body)["error"]["details"][0]["field"] == "Host"


@rule("FRAMING")
@matrix(
    "host",
    ["a b", "a/b", "a@b", "a:b", "a:80:90", "[::1", "::1", "a\tb", "a,\xe4", "%4", 'a"b', "a,http://b", "a#", "a?b"],
)
def test_an_invalid_host_is_rejected(server: Server, host: str) -> None:
    for version in (b"1.1", b"1.0"):
        answers, _ = talk(
            server, b"GET /healthz HTTP/" + version + b"\r\nHost: " + host.encode("latin-1") + b"\r\n\r\n"
        )
        assert [a.status for a in answers] == [400]
        assert json.loads(answers[0].body)["error"]["details"][0]["field"] == "Host"


@matrix(
    "host", ["a", "A.example:8080", "a_b.example", "127.0.0.1:", "[::1]:8080", "[2001:db8::192.0.2.1]", "x%C3%A4", ""]
)
def test_a_host_is_served(server: Server, host: str) -> None:
    answers, _ = talk(server, LINE + b"Host: " + host.encode() + b"\r\n\r\n")
    assert [a.status for a in answers] == [200]


def test_http_1_1_without_a_host_is_rejected(server: Server) -> None:
    answers, _ = talk(server, LINE + b"\r\n")
    assert [a.status for a in answers] == [400]
    assert json.loads(answers[0].body)["error"]["details"][0]["field"] == "Host"


def test_an_ordinary_request_is_answered_and_the_connection_stays(server: Server) -> None:
    answers, closed = talk(server, LINE + HOST + b"\r\n")
    assert [a.status for a in answers] == [200]
    assert not closed
    assert not answers[0].header("server")
    assert not answers[0].header("x-powered-by")
    assert len(answers[0].header("x-request-id")) == len(answers[0].header("content-length")) == 1


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    answers, closed = talk(server, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert [a.status for a in answers] == [200]
    assert closed


def test_connection_close_is_heeded(server: Server) -> None:
    answers, closed = talk(server, LINE + HOST + b"Connection: close\r\n\r\n")
    assert [a.status for a in answers] == [200]
    assert closed


def test_the_absolute_form_is_served_by_its_path(server: Server) -> None:
    answers, _ = talk(server, b"GET http://127.0.0.1/healthz HTTP/1.1\r\n" + HOST + b"\r\n")
    assert [a.status for a in answers] == [200]
    answers, _ = talk(server, b"GET http://evil.example/api/admin/clients HTTP/1.1\r\n" + HOST + b"\r\n")
    assert [a.status for a in answers] == [401]


def test_two_requests_in_one_piece_are_answered_in_order(server: Server) -> None:
    second = b"GET /api/client/auth/me HTTP/1.1\r\n" + HOST + b"X-Request-ID: second-request\r\n\r\n"
    answers, _ = talk(server, LINE + HOST + b"X-Request-ID: first-request\r\n\r\n" + second)
    assert [a.status for a in answers] == [200, 401]
    assert [a.header("x-request-id") for a in answers] == [["first-request"], ["second-request"]]


def test_a_body_that_was_not_wanted_is_not_read_as_a_request(server: Server) -> None:
    """The body contains a request, on a route without a body, but it's still treated as a body."""
    head = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)
    answers, _ = talk(server, head + SMUGGLED + LINE + HOST + b"\r\n")
    assert [a.status for a in answers] == [200, 200]
    refused = b"POST /api/client/auth/sign-out HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)
    answers, _ = talk(server, refused + SMUGGLED + LINE + HOST + b"\r\n")
    assert [a.status for a in answers] == [401, 200]


def test_a_body_over_the_limit_is_413_and_the_end(server: Server) -> None:
    answers, closed = talk(server, SIGN_IN + b"Content-Length: 65537\r\n\r\n")
    assert [a.status for a in answers] == [413]
    assert json.loads(answers[0].body)["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert closed
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    answers, closed = talk(server, SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 6)
    assert [a.status for a in answers] == [413]
    assert closed


def test_chunks_are_put_together(server: Server) -> None:
    body = json.dumps({"email": "nobody@nowhere.example", "password": "x"}).encode()
    chunks = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\n\r\n"
    answers, _ = talk(server, SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert [a.status for a in answers] == [401]
    assert json.loads(answers[0].body)["error"]["code"] == "INVALID_CREDENTIALS"


def test_header_names_and_pieces_of_any_size_are_understood(server: Server) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nhOsT: 127.0.0.1\r\nX-REQUEST-ID: one-by-one\r\n\r\n"
    answers, _ = talk(server, *[bytes([byte]) for byte in whole])
    assert [(a.status, a.header("x-request-id")) for a in answers] == [(200, ["one-by-one"])]


@rule("PATHS")
def test_trace_echoes_nothing(server: Server) -> None:
    answers, _ = talk(server, b"TRACE /healthz HTTP/1.1\r\n" + HOST + b"X-Secret: do-not-echo\r\n\r\n")
    assert [a.status for a in answers] == [405]
    assert answers[0].header("allow") == ["GET, HEAD"]
    assert b"do-not-echo" not in answers[0].body


def test_an_upgrade_is_not_made(server: Server) -> None:
    for protocol in (b"websocket", b"h2c"):
        lines = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\nSec-WebSocket-Version: 13\r\n\r\n"
        answers, _ = talk(server, LINE + HOST + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + lines)
        assert [a.status for a in answers] == [200]


def test_head_has_a_length_and_no_body(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    assert body == b""
    assert re.search(rb"content-length: [1-9]\d", head)


@rule("AUDIT-TRAIL")
def test_the_log_tells_of_refusals_without_a_trace(server: Server) -> None:
    talk(server, b"hello\r\n\r\n")
    text = server.output.read_text()
    assert "Traceback" not in text
    assert "internal_error" not in text
    assert all(json.loads(line) for line in text.splitlines() if line.startswith("{"))
