"""Apps get one sign-out notice from two nodes, even if the node that sends it is killed."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.http.apps.relying import parts
from tests.interop.apps.app_at_server import register
from tests.interop.browser import Browser
from tests.processes.node_client import NODE, Node, seconds_until
from tests.processes.test_app_nodes import CALLBACK, PUBLIC, Signed
from tests.support.postgres import Databases
from tests.support.server import Server, start, stop

pytestmark = pytest.mark.endurance
PATIENT = {**NODE, "MANIFEST_PROVIDER_TIMEOUT": "30"}


class Channel:
    """An app's address for logout tokens. ``heard`` contains their ``sid``. While it's ``held``, it doesn't respond,
    and ``asking`` contains the ports of waiting callers."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.asking: list[int] = []
        self.held = False
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                channel.heard.append(parts(parse_qs(body)["logout_token"][0])[1]["sid"])
                if channel.held:
                    channel.asking.append(self.client_address[1])
                    self.rfile.read()  # until the other side disconnects
                    return
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}/back"


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def holder_of(channel: Channel, servers: list[Server]) -> Server:
    """The server that waits for the channel's response."""
    ends = [f"0100007F:{port:04X}" for port in (channel.asking[0], channel.server.server_port)]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    [inode] = [row[9] for row in rows if row[1:3] == ends]

    def has(server: Server) -> bool:
        for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if str(file.readlink()) == f"socket:[{inode}]":
                    return True
        return False

    [found] = [server for server in servers if has(server)]
    return found


def test_a_notice_comes_once_and_outlives_the_node_that_sends_it(
    tmp_path: Path, postgres: Databases, channel: Channel
) -> None:
    database = postgres.fresh_database()
    servers = [start(tmp_path, database, **PATIENT) for _ in range(2)]
    try:
        app = register(servers[0], "web", CALLBACK, backchannelLogoutUri=channel.uri)

        def leave(here: Server, there: Server) -> str:
            """Sign in at two nodes, and sign out at the second; returns the ``sid``."""
            way = {PUBLIC: here.base}
            with Browser(way) as browser:
                signed = Signed(browser, app, way)
                got = signed.tokens(Node(here), Node(there), "openid")
                signed.sign_out(Node(there))
            return str(parts(got["id_token"])[1]["sid"])

        first = leave(*servers)
        seconds_until(lambda: first in channel.heard)
        channel.held = True
        second = leave(*servers)
        seconds_until(lambda: bool(channel.asking))
        channel.held = False
        killed = holder_of(channel, servers)
        killed.kill()
        servers.remove(killed)
        seconds_until(lambda: channel.heard.count(second) >= 2)  # its first attempt got no response
        third = leave(*servers * 2)  # the other node continues
        seconds_until(lambda: third in channel.heard)
        servers.append(start(tmp_path, database, **PATIENT))
        fourth = leave(*servers)
        servers.pop().kill()  # the node of the sign-out, maybe before it sent anything
        seconds_until(lambda: fourth in channel.heard)
        last = leave(*servers * 2)
        seconds_until(lambda: last in channel.heard)
        counted = Counter(channel.heard)
        assert counted.pop(second) >= 2
        assert counted.pop(fourth) in (1, 2)  # twice if the response came to a dead node
        assert counted == {first: 1, third: 1, last: 1}
    finally:
        for server in servers:
            stop(server)
