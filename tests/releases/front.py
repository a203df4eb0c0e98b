"""HAProxy in front of two nodes, with the example's configuration but without TLS."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2

from tests.interop.providers import install
from tests.support.commands import until
from tests.support.processes import ending_with_us, free_port

_CONFIGURATION = """
defaults
    mode http
    timeout client 75s
    timeout server 60s
    timeout connect 1s
    retries 3
    retry-on conn-failure
    option redispatch 1
    option http-server-close
frontend front
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    option httpchk GET /readyz
    option allbackups
    default-server check inter 500ms fall 2 rise 1
"""


@contextlib.contextmanager
def running(folder: Path, *ports: int) -> Iterator[str]:
    """Run it until the block ends; returns its address. ``ports`` are those of the nodes, which must exist."""
    root, port = install.debian("haproxy", "haproxy"), free_port()
    nodes = "".join(
        f"    server node{at} 127.0.0.1:{at}\n    server last{at} 127.0.0.1:{at} backup no-check\n" for at in ports
    )
    (folder / "haproxy.cfg").write_text(_CONFIGURATION.format(port=port) + nodes)
    command = [str(root / "usr/sbin/haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    with (folder / "haproxy.log").open("ab") as out:
        process = subprocess.Popen(
            ending_with_us(command, "KILL"),
            env={**os.environ, "LD_LIBRARY_PATH": install.libraries(root)}, stdout=out, stderr=out,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        until(lambda: process.poll() is not None or _answers(base))
        assert process.poll() is None, (folder / "haproxy.log").read_text()
        yield base
    finally:
        process.kill()
        process.wait()


def _answers(base: str) -> bool:
    try:
        return httpx2.get(f"{base}/readyz", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
