"""Runs Debian's HAProxy with ``deploy/haproxy-postgres.cfg`` in front of PostgreSQL."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from tests.architecture.links import ROOT
from tests.deploy import haproxy
from tests.support.commands import until
from tests.support.processes import ending_with_us, free_port

_EXAMPLE = ROOT / "deploy" / "haproxy-postgres.cfg"
#: The example's Patroni check.
_CHECK = "check port 8008 check-ssl verify required ca-file /etc/haproxy/patroni-ca.pem"
#: The owner of the tests' PostgreSQL sockets.
_USER = "embedded_postgres"
#: SSLRequest of the PostgreSQL protocol, which a server answers with one byte before any login.
_WILL_THERE_BE_TLS = bytes.fromhex("0000000804d2162f")


class HAProxy:
    """``folder`` contains its file; ``placed`` is the example with this machine's servers. Call :meth:`stop` at the
    end."""

    def __init__(self, folder: Path, placed: Callable[[str], str]) -> None:
        self.port = free_port()
        self._file, self._placed = folder / f"haproxy-{self.port}.cfg", placed
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it without waiting."""
        text = haproxy.as_a_user(self._placed(_EXAMPLE.read_text("utf-8")), _USER)
        self._file.write_text(
            replaced(text, {
                "log /dev/log local0": "log stdout format raw local0",
                "bind 127.0.0.1:5432": f"bind 127.0.0.1:{self.port}",
            })
        )  # fmt: skip
        program, seen = haproxy.program()
        with self._file.with_suffix(".log").open("ab") as out:
            command = ending_with_us([program, "-db", "-f", str(self._file)], "KILL")
            self._process = subprocess.Popen(command, env=seen, stdout=out, stderr=out)

    def until_it_leads(self) -> None:
        """Wait until it leads to a PostgreSQL that responds."""
        until(self._leads)

    def _leads(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._file.with_suffix(".log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as made:
            made.sendall(_WILL_THERE_BE_TLS)
            return made.recv(1) != b""
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def replaced(text: str, parts: dict[str, str]) -> str:
    """Replace parts of a text, each of which must occur exactly once."""
    for there, here in parts.items():
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    return text


class _Patroni(BaseHTTPRequestHandler):
    """A Patroni API that claims to be the primary's."""

    def do_OPTIONS(self) -> None:
        self.send_response(200 if self.path == "/primary" else 404)
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Log nothing, since there are two checks a second."""


class InFrontOfOne:
    """An HAProxy in front of the server at this address, which has no Patroni."""

    def __init__(self, server: str) -> None:
        self._patroni = HTTPServer(("127.0.0.1", 0), _Patroni)
        Thread(target=self._patroni.serve_forever, daemon=True).start()
        where = urlsplit(server)
        self._login = f"{where.username or 'postgres'}:{where.password or ''}"
        folder = parse_qs(where.query)["host"][0]
        api = f"check addr 127.0.0.1 port {self._patroni.server_port}"

        def placed(text: str) -> str:
            text = replaced(text, {"10.0.0.1:5432": f"{folder}/.s.PGSQL.5432", _CHECK: api})
            return re.sub(r"(?m)^ +server pg[23] .*\n?", "", text)

        self._folder = TemporaryDirectory(prefix="manifest-auth-haproxy-", ignore_cleanup_errors=True)
        self._proxy = HAProxy(Path(self._folder.name), placed)
        self._proxy.start()
        self._proxy.until_it_leads()

    def address(self, database: str) -> str:
        """The address of a database on the server, through HAProxy."""
        return f"postgresql://{self._login}@127.0.0.1:{self._proxy.port}/{database}"

    def stop(self) -> None:
        self._proxy.stop()
        self._patroni.shutdown()
        self._patroni.server_close()
        self._folder.cleanup()
