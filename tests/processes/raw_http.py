"""Sends raw bytes to a server, and reads its responses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.server import Server

LINE = b"GET /healthz HTTP/1.1\r\n"
HOST = b"Host: 127.0.0.1\r\n"
SIGN_IN = b"POST /api/client/auth/sign-in HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


class Seen(NamedTuple):
    """A response: status, raw header lines with lowercase names, and body."""

    status: int
    lines: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.lines if key == name]


def talk(server: Server, *pieces: bytes, wait: float = 5.0) -> tuple[list[Seen], bool]:
    """Send the pieces, and read until the server closes or falls silent; returns its responses, and whether it
    closed."""
    received, closed = b"", False
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            while chunk := connection.recv(65536):
                received += chunk
                connection.settimeout(0.3)  # the rest is already being sent
            closed = True
        except TimeoutError:
            pass
        except ConnectionError:
            closed = True
    return list(split(received)), closed


def split(received: bytes) -> Iterator[Seen]:
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        found = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        length = int(next((value for name, value in found if name == "content-length"), "0"))
        status = int(first.split(" ")[1])
        yield Seen(status, found, received[:length])
        received = received[length:]
