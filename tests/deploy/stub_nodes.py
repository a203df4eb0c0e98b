"""Stand-ins for nodes: one that cuts every request after reading it, and one that responds to all, even if late."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Iterator

from tests.support.processes import free_port

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


class _Node(socketserver.ThreadingTCPServer):
    """``seen`` are the methods of the counted requests that arrived; ``used`` are the open connections that they
    used."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, *, cuts: bool, late_s: float) -> None:
        self.cuts, self.late_s, self.seen, self.used = cuts, late_s, list[str](), set[object]()
        super().__init__(("127.0.0.1", port), _Connection)


class _Connection(socketserver.StreamRequestHandler):
    server: _Node

    def handle(self) -> None:
        try:
            while line := self.rfile.readline():
                self._answer(line.decode().split()[0], dict(iter(self._header, None)))
                if self.server.cuts and self in self.server.used:
                    return
        except ConnectionError:
            pass
        finally:
            self.server.used.discard(self)

    def _header(self) -> tuple[str, str] | None:
        name, _, value = self.rfile.readline().decode().strip().partition(":")
        return (name.lower(), value.strip()) if name else None

    def _answer(self, method: str, headers: dict[str, str]) -> None:
        size = int(headers.get("content-length", "0"))
        if len(self.rfile.read(size)) == size and headers.get("x-counted"):
            self.server.seen.append(method)
            self.server.used.add(self)
        time.sleep(self.server.late_s)
        if not self.server.cuts or self not in self.server.used:
            self.wfile.write(_ANSWER)


@contextlib.contextmanager
def node(*, cuts: bool, late_s: float = 0.0) -> Iterator[_Node]:
    """Run one of them until the block ends. It responds after ``late_s`` seconds."""
    with _Node(free_port(), cuts=cuts, late_s=late_s) as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        made.shutdown()
