"""The public address of a server, which is a proxy that alternates between its nodes and records the apps' calls."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.support.server import launch, stop, wait_for

_OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Entrance:
    """``calls`` are the last segments of all requested paths in order; at the token endpoint, with the grant."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.ports: list[int] = []
        self._turns = itertools.count()
        entrance = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                entrance.pass_on(self)

            do_POST = do_PATCH = do_OPTIONS = do_GET  # noqa: N815 - named by the library

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def pass_on(self, asked: BaseHTTPRequestHandler) -> None:
        """Forward one request to the next node."""
        body = asked.rfile.read(int(asked.headers.get("Content-Length", 0)))
        grant = parse_qs(body.decode("latin-1")).get("grant_type", [])
        self.calls.append(" ".join([asked.path.partition("?")[0].rpartition("/")[2], *grant]))
        port = self.ports[next(self._turns) % len(self.ports)]
        with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=60)) as node:
            node.putrequest(asked.command, asked.path, skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers.items():
                node.putheader(name, value)
            node.endheaders(body)
            answer = node.getresponse()
            content = answer.read()
        asked.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                asked.send_header(name, value)
        asked.send_header("Content-Length", str(len(content)))
        asked.end_headers()
        asked.wfile.write(content)


@contextlib.contextmanager
def entrance(folder: Path, database_url: str, nodes: int) -> Iterator[Entrance]:
    """Nodes on one database, and the proxy in front of them."""
    opened = Entrance()
    threading.Thread(target=opened.server.serve_forever, daemon=True).start()
    settings: dict[str, Any] = {"MANIFEST_PUBLIC_URL": opened.base, "MANIFEST_RATE_LIMITS": "off"}
    servers = []
    try:
        for _ in range(nodes):
            servers.append(launch(folder, database_url, **settings))
            opened.ports.append(wait_for(servers[-1]).port)
        yield opened
    finally:
        opened.server.shutdown()
        opened.server.server_close()
        for server in servers:
            stop(server)
