"""Unread responses don't use the server's memory, and the server continues to respond to others."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from manifest_auth.http import uvicorn_server
from tests.processes.raw_http import HOST, LINE, talk
from tests.support.rules import rule
from tests.support.server import Server, served

PIPELINED = 2_000
MOST_MIB = 50
DESCRIBED = ("/openapi.json", "/docs/api", "/power-apps.json")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("unread"), demo="") as running:
        yield running


def _resident_mib(server: Server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def _pipelined(path: str, lines: bytes = b"") -> bytes:
    asked = b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + lines
    return b"".join(asked + b"X-Request-ID: request-%06d\r\n\r\n" % number for number in range(PIPELINED))


def _connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def _check_memory(server: Server, idle: float, *, round_trips: int = 200) -> None:
    """Check the memory while the server responds to someone else this often, long enough to process pipelined
    requests."""
    with closing(_connect(server)) as other:
        for _ in range(round_trips):
            other.sendall(LINE + HOST + b"\r\n")
            assert other.recv(65536).startswith(b"HTTP/1.1 200")
            assert _resident_mib(server) < idle + MOST_MIB


def _ids(connection: socket.socket, count: int) -> list[int]:
    """The request IDs of this many responses, in order."""
    found = []
    with connection.makefile("rb") as reader:
        for _ in range(count):
            assert reader.readline().startswith(b"HTTP/1.1 200")
            lines = dict(line.split(b": ") for line in iter(lambda: reader.readline().rstrip(), b""))
            found.append(int(lines[b"x-request-id"].removeprefix(b"request-")))
            assert len(reader.read(int(lines[b"content-length"]))) == int(lines[b"content-length"])
    return found


@rule("UNREAD-ANSWERS")
def test_answers_that_no_one_reads_take_no_memory(server: Server) -> None:
    for path in DESCRIBED:
        talk(server, b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    idle = _resident_mib(server)
    with ExitStack() as open_ones:
        silent = [open_ones.enter_context(closing(_connect(server))) for _ in range(8)]
        for number, connection in enumerate(silent):
            connection.sendall(_pipelined(DESCRIBED[number % len(DESCRIBED)]))
            _check_memory(server, idle, round_trips=25)
        _check_memory(server, idle)


@rule("UNREAD-ANSWERS")
def test_who_reads_late_misses_nothing(server: Server) -> None:
    with closing(_connect(server)) as late:
        late.sendall(_pipelined("/openapi.json", b"Accept-Encoding: gzip\r\n"))
        _check_memory(server, _resident_mib(server), round_trips=25)
        assert _ids(late, PIPELINED) == list(range(PIPELINED))


@rule("UNREAD-ANSWERS")
def test_who_sends_faster_than_is_answered_waits(server: Server) -> None:
    """The caller reads every response immediately, and keeps sending requests with bodies."""
    sign_out = b"POST /api/client/auth/sign-out HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}"
    idle = _resident_mib(server)

    def flood(connection: socket.socket) -> None:
        with suppress(OSError):
            for _ in range(1_000):
                connection.sendall(sign_out * 1_000)

    with closing(_connect(server)) as connection:
        sender = threading.Thread(target=flood, args=(connection,))
        sender.start()
        answered = 0
        while answered < 1_000:
            answered += connection.recv(65536).count(b"HTTP/1.1 401")
            assert _resident_mib(server) < idle + MOST_MIB
        connection.shutdown(socket.SHUT_RDWR)
        sender.join()


async def _large(_scope: Any, _receive: Any, send: Any) -> None:
    body = bytes(32 * 1024 * 1024)
    length = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


@rule("UNREAD-ANSWERS")
async def test_a_connection_that_takes_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that the server has already closed on its side."""
    monkeypatch.setattr(uvicorn_server, "UNREAD_S", 0.5)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_large, http=uvicorn_server.BoundedProtocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    _, writer = await asyncio.open_connection(*listener.getsockname(), limit=1024)
    writer.write(LINE + HOST + b"\r\n")
    async with asyncio.timeout(60):
        while not server.server_state.total_requests:
            await asyncio.sleep(0.02)
        assert server.server_state.connections
        while server.server_state.connections:
            await asyncio.sleep(0.02)
    writer.close()
    server.should_exit = True
    await serving
