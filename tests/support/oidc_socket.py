"""The socket of a stand-in provider, HTTP/1.1 in threads, with raw responses where a test needs them."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


def with_changes(usual: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``usual`` with some members replaced; None omits one."""
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


@dataclass
class Asked:
    """A request. Header names are lowercase, and the last of several equal ones wins."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]
    endpoint: str = ""


@dataclass
class Answer:
    """A response. ``length`` and ``chunks`` are for servers that lie or never finish."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None  # Content-Length, if not the body's
    chunks: tuple[bytes, int, float] | None = None  # after the body: a piece, its count, seconds before each
    raw: bytes | None = None  # exactly these bytes instead of a response, and then the end

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Answer:
        return cls(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

    @property
    def head(self) -> bytes:
        length = len(self.body) if self.length is None else self.length
        sized = {"Transfer-Encoding": "chunked"} if self.chunks else {"Content-Length": str(length)}
        lines = [f"HTTP/1.1 {self.status} -", *(f"{name}: {text}" for name, text in {**self.headers, **sized}.items())]
        return "\r\n".join([*lines, "", ""]).encode()


class Gates:
    """Endpoints that hold their requests until a test lets them through."""

    def __init__(self) -> None:
        self._shut: dict[str, threading.Event] = {}

    @contextlib.contextmanager
    def shut(self, endpoint: str) -> Iterator[None]:
        """Block an endpoint's requests inside the block."""
        gate = self._shut[endpoint] = threading.Event()
        try:
            yield
        finally:
            del self._shut[endpoint]
            gate.set()

    @property
    def are_some_shut(self) -> bool:
        return bool(self._shut)

    def wait(self, endpoint: str) -> None:
        """Wait for the gate; called in the thread of a request."""
        if gate := self._shut.get(endpoint):
            gate.wait(60)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    owner: Socket

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): text for name, text in self.headers.items()}
        query, form = dict(parse_qsl(url.query, True)), dict(parse_qsl(body.decode("utf-8", "replace"), True))
        answer = self.owner.answer(Asked(self.command, url.path, query, headers, form))
        with contextlib.suppress(OSError):  # the client might have hung up, as in many tests
            self._send(answer)

    do_POST = do_GET  # noqa: N815  # http.server looks for this very name

    def _send(self, answer: Answer) -> None:
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            self.close_connection = True
        elif answer.chunks is None:
            self.wfile.write(answer.head + answer.body)  # in one piece, or Nagle's algorithm makes the client wait
        else:
            piece, count, pause = answer.chunks
            self.wfile.write(answer.head)
            for part in (answer.body, *[piece] * count):
                time.sleep(pause)
                if part:
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hung up."""


class Socket:
    """A listener on a free port of 127.0.0.1; with ``tls``, it speaks HTTPS."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self.base = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self.answer: Callable[[Asked], Answer] = lambda asked: Answer(404)

    def serve(self) -> None:
        """Respond to requests until the block ends."""
        self._server.serve_forever(poll_interval=0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
