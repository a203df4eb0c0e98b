"""If a request is rejected before its body has arrived, the client receives the error."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.node_client import AUTH, NODE, Node
from tests.support.server import Server, served

SIZE = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("early")
    with served(folder, **{**NODE, "MANIFEST_FILE_LIMIT": "1024"}) as found:
        yield found


def connected(server: Server, size: int) -> socket.socket:
    """A connection with an announced upload of this many bytes."""
    token = Node(server).sign_in("operator@acme.example")["token"]
    link = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = f"POST /api/client/files?name=a.png HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer {token}\r\n"
    link.sendall(f"{head}Content-Type: image/png\r\nContent-Length: {size}\r\n\r\n".encode())
    return link


def test_who_sends_all_of_it_first_reads_the_refusal(server: Server) -> None:
    for _ in range(5):
        with connected(server, SIZE) as link:
            for _ in range(SIZE // 65_536):
                link.sendall(bytes(65_536))
                time.sleep(0.0002)
            answer = b""
            while part := link.recv(65_536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.count(b"HTTP/1.1") == 1
        assert b"PAYLOAD_TOO_LARGE" in answer


def send_for_ever(link: socket.socket) -> None:
    while True:
        link.sendall(b"x" * 1024)
        time.sleep(0.02)


def test_who_never_stops_sending_is_cut_off(server: Server) -> None:
    """Otherwise, the test's timeout ends it."""
    with connected(server, 10**9) as link, pytest.raises(ConnectionError):
        send_for_ever(link)


def test_what_follows_the_rejected_body_is_no_request(server: Server) -> None:
    node = Node(server)
    token = node.sign_in()["token"]
    request = f"POST {AUTH}/sign-out HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer {token}\r\n\r\n"
    with connected(server, 2048) as link:
        answer = b""
        while part := link.recv(65_536):
            answer += part
        link.sendall(bytes(2048) + request.encode())
        assert {node.me(token).status_code for _ in range(20)} == {200}
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1 ") == 1
