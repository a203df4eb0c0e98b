"""A TCP proxy in front of the server, which counts refreshes, and drops responses of the server."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

_REFRESH = b"POST /api/client/auth/refresh "


class Proxy:
    """A proxy that listens on a separate port until it's closed. ``refreshes`` counts those that arrived; ``cut`` is
    the number of subsequent refresh responses to drop after the server has sent them."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.refreshes = self.cut = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # the thread that waits for callers ends
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(self._upstream) as server:
            while asked := client.recv(65536):
                is_refresh = asked.startswith(_REFRESH)
                asked = asked if not is_refresh else self._whole(client, asked)
                with self._lock:
                    self.refreshes += is_refresh
                    is_cut = is_refresh and self.cut > 0
                    self.cut -= is_cut
                server.sendall(asked)
                answer = self._whole(server, server.recv(65536))
                if is_cut:
                    return
                client.sendall(answer)

    @staticmethod
    def _whole(source: socket.socket, begun: bytes) -> bytes:
        """Read a message to its end, according to its Content-Length."""
        while b"\r\n\r\n" not in begun:
            begun += source.recv(65536)
        head, _, body = begun.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        missing = int(lines.get(b"content-length", b"0")) - len(body)
        while missing > 0:
            more = source.recv(65536)
            begun, missing = begun + more, missing - len(more)
        return begun
