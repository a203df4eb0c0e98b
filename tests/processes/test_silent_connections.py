"""Silent connections don't block anyone else, and no active connection is closed in favor of them."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.processes.raw_http import HOST, LINE, SIGN_IN
from tests.support.rules import rule
from tests.support.server import Server, served

FILES = 400
ONE, OTHER, PROXY = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a low limit for open files, so that a few connections are many."""
    with served(tmp_path_factory.mktemp("silent"), demo="", MANIFEST_TRUSTED_PROXIES=PROXY) as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        yield running


def _connect(server: Server, source: str) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", server.port), timeout=60, source_address=(source, 0)))


def _ask(connection: socket.socket) -> None:
    connection.sendall(LINE + HOST + b"\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def _is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.001)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


@rule("CONNECTIONS")
@pytest.mark.parametrize("source", [ONE, OTHER])
def test_silent_connections_of_one_address_keep_no_one_out(server: Server, source: str) -> None:
    with ExitStack() as stack:
        early = stack.enter_context(_connect(server, OTHER))
        _ask(early)
        silent = [stack.enter_context(_connect(server, ONE)) for _ in range(FILES)]
        with _connect(server, source) as late:
            _ask(late)
        _ask(early)
        assert 0 < sum(map(_is_open, silent)) < FILES / 4
        assert _is_open(silent[-1])


@rule("CONNECTIONS")
def test_a_listed_proxy_has_no_share(server: Server) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(_connect(server, PROXY)) for _ in range(FILES // 2)]
        with _connect(server, ONE) as other:
            _ask(other)
        assert all(map(_is_open, silent))


@rule("CONNECTIONS")
def test_silent_connections_of_many_addresses_keep_no_one_out(server: Server) -> None:
    with ExitStack() as stack:
        used = stack.enter_context(_connect(server, PROXY))
        _ask(used)
        for number in range(8):
            for _ in range(FILES // 8):
                stack.enter_context(_connect(server, f"127.0.1.{number}"))
        with _connect(server, OTHER) as late:
            _ask(late)
        _ask(used)


@rule("CONNECTIONS")
def test_a_request_under_way_gives_way_to_none(server: Server) -> None:
    """A request waits for the rest of its body. If all of a network's connections do, the new one is rejected."""
    with ExitStack() as stack:
        busy = [stack.enter_context(_connect(server, ONE)) for _ in range(FILES * 3 // 16)]
        for connection in busy:
            connection.sendall(SIGN_IN + b"Content-Length: 2\r\n\r\n{")
        _ask(stack.enter_context(_connect(server, OTHER)))
        with _connect(server, ONE) as late, pytest.raises((ConnectionError, AssertionError)):
            _ask(late)
        for connection in busy:
            connection.sendall(b"}")
            assert connection.recv(65536).startswith(b"HTTP/1.1 400")
