"""Nodes that are none: one that cuts every request after it has read it, and one that answers all."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator

from tests.support.processes import free_port

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


class _Node(socketserver.ThreadingTCPServer):
    """``seen``: the methods of the requests that reached it; ``is_open``: the connections that it has now."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, *, cuts: bool) -> None:
        self.cuts, self.seen, self.is_open = cuts, list[str](), set[object]()
        super().__init__(("127.0.0.1", port), _Connection)


class _Connection(socketserver.StreamRequestHandler):
    server: _Node

    def handle(self) -> None:
        self.server.is_open.add(self)
        try:
            while line := self.rfile.readline():
                self._answer(line.decode().split()[0], dict(iter(self._header, None)))
                if self.server.cuts and self.server.seen:
                    return
        except ConnectionError:
            pass
        finally:
            self.server.is_open.discard(self)

    def _header(self) -> tuple[str, str] | None:
        name, _, value = self.rfile.readline().decode().strip().partition(":")
        return (name.lower(), value.strip()) if name else None

    def _answer(self, method: str, headers: dict[str, str]) -> None:
        self.rfile.read(int(headers.get("content-length", "0")))
        if headers.get("x-counted"):
            self.server.seen.append(method)
        if not self.server.cuts:
            self.wfile.write(_ANSWER)


@contextlib.contextmanager
def node(*, cuts: bool) -> Iterator[_Node]:
    """One of them, until the end."""
    with _Node(free_port(), cuts=cuts) as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        made.shutdown()
