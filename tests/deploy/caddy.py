"""Runs Debian's Caddy with ``deploy/Caddyfile``, and certificates that Caddy creates."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.links import ROOT
from tests.deploy.nginx import NAME, Proxy, kept_running
from tests.interop.providers import install
from tests.support.processes import free_port

EXAMPLE = ROOT / "deploy" / "Caddyfile"
_GLOBAL = """{{
	admin off
	http_port {plain}
	https_port {tls}
	default_bind 127.0.0.1
	default_sni {name}
	local_certs
	skip_install_trust
}}
"""


def tested(folder: Path) -> str:
    """Caddy's output for the unchanged example."""
    done = subprocess.run(
        [program(), "validate", "--adapter", "caddyfile", "--config", str(EXAMPLE)],
        env=_seen(folder), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout + done.stderr


@contextlib.contextmanager
def running(folder: Path, *upstreams: int) -> Iterator[Proxy]:
    """Run Caddy in front of the servers at these ports, until the block ends."""
    made = Proxy("caddy", free_port(), free_port())
    options = _GLOBAL.format(plain=made.plain_port, tls=made.port, name=NAME)
    (folder / "Caddyfile").write_text(options + EXAMPLE.read_text("utf-8"))
    command = [program(), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    given = {"SITE": NAME, "NODES": " ".join(f"127.0.0.1:{port}" for port in upstreams)}
    with kept_running(made, command, _seen(folder) | given, folder / "caddy.log"):
        yield made


def program() -> str:
    """The path of Caddy."""
    return str(install.debian("caddy", "caddy") / "usr/bin/caddy")


def _seen(folder: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
