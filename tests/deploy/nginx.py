"""Runs Debian's nginx with ``deploy/nginx.conf`` in front of servers, without root."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.links import ROOT
from tests.interop.providers import certificates, install
from tests.support.commands import until
from tests.support.processes import ending_with_us, free_port

NAME = "auth.localhost"  # a loopback address, as the demo requires
_MAIN = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""


@dataclass
class Proxy:
    """The addresses that it listens on, with and without TLS."""

    name: str
    port: int
    plain_port: int
    pid: int = 0


def with_nodes(example: str, second: str, upstreams: tuple[int, ...]) -> str:
    """An example in front of one or two servers at these ports. ``second`` is the beginning of the second server's
    line, which is a comment there."""
    assert example.count(" 127.0.0.1:8080") == 1
    assert example.count(f"# {second}127.0.0.1:8081") == 1
    made = example.replace("127.0.0.1:8080", f"127.0.0.1:{upstreams[0]}")
    if upstreams[1:]:
        made = re.sub(
            f"# ({second}127.0.0.1:)8081(.*?)(?:  +more nodes.*)?$",
            rf"\g<1>{upstreams[1]}\g<2>",
            made,
            flags=re.MULTILINE,
        )
    return made


def configured(folder: Path, *upstreams: int) -> tuple[Proxy, list[str], dict[str, str]]:
    """The example with this machine's ports, file names, and certificate; returns the command and its environment."""
    root = install.debian("nginx", "nginx")
    key, certificate = certificates.make(folder, NAME)
    made = Proxy("nginx", free_port(), free_port())
    site = with_nodes((ROOT / "deploy" / "nginx.conf").read_text("utf-8"), "server ", upstreams)
    for example, here in {
        "/etc/ssl/auth.example.com.pem": str(certificate),
        "/etc/ssl/auth.example.com.key": str(key),
        "listen 443 ssl": f"listen 127.0.0.1:{made.port} ssl",
        "listen 80": f"listen 127.0.0.1:{made.plain_port}",
        "/var/log/nginx/manifest-auth.log": f"{folder}/access.log",
    }.items():
        assert site.count(example) == 1, example
        site = site.replace(example, here)
    site = site.replace("auth.example.com", NAME)
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, site=site))
    command = [str(root / "usr/sbin/nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    return made, command, {**os.environ, "LD_LIBRARY_PATH": install.libraries(root)}


def tested(folder: Path) -> str:
    """The output of ``nginx -t`` for the example."""
    _, command, seen = configured(folder, 8080)
    done = subprocess.run([*command, "-t"], env=seen, capture_output=True, text=True, timeout=60)
    return done.stderr


@contextlib.contextmanager
def running(folder: Path, *upstreams: int) -> Iterator[Proxy]:
    """Run nginx in front of the servers at these ports, until the block ends."""
    made, command, seen = configured(folder, *upstreams)
    with kept_running(made, command, seen, folder / "error.log"):
        yield made


@contextlib.contextmanager
def kept_running(made: Proxy, command: list[str], seen: dict[str, str], log: Path) -> Iterator[None]:
    """Wait until it responds, and run it until the block ends."""
    with log.open("ab") as out:
        process = subprocess.Popen(ending_with_us(command, "TERM"), env=seen, stdout=out, stderr=out)
    made.pid = process.pid
    try:
        until(lambda: _answers(made.port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        ssl.get_server_certificate(("127.0.0.1", port), timeout=2)
    except OSError:
        return False
    return True
