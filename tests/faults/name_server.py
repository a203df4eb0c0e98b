"""A name server at port 53 (requires root) that reports each name as nonexistent, or doesn't respond."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import dns.message
import dns.rcode

ADDRESS = "127.0.53.1"


class NameServer:
    """A name server; if ``is_silent``, it doesn't respond."""

    def __init__(self) -> None:
        self.is_silent = False
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ADDRESS, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                question, sender = self._socket.recvfrom(4096)
                if not question:
                    return
                self.asked += 1
                if not self.is_silent:
                    answer = dns.message.make_response(dns.message.from_wire(question))
                    answer.set_rcode(dns.rcode.NXDOMAIN)
                    self._socket.sendto(answer.to_wire(), sender)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextlib.contextmanager
def running() -> Iterator[NameServer]:
    """Run until the block ends."""
    server = NameServer()
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            server.close()
