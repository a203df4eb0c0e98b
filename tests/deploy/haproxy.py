"""Runs Debian's HAProxy with ``deploy/haproxy.cfg`` in front of servers, without root."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.links import ROOT
from tests.deploy.nginx import NAME, Proxy, kept_running, with_nodes
from tests.interop.providers import certificates, install
from tests.support.processes import free_port


def program() -> tuple[str, dict[str, str]]:
    """The program, and its environment."""
    root = install.debian("haproxy", "haproxy")
    return str(root / "usr/sbin/haproxy"), {**os.environ, "LD_LIBRARY_PATH": install.libraries(root)}


def as_a_user(example: str, user: str = "nobody") -> str:
    """The example with a user of this machine: the one that runs the tests if it isn't root, or else ``user``."""
    name = user if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name
    for there, here in {"user haproxy\n": f"user {name}\n", "group haproxy\n": f"group {group}\n"}.items():
        assert example.count(there) == 1, there
        example = example.replace(there, here)
    return example


def configured(folder: Path, *upstreams: int) -> tuple[Proxy, list[str], dict[str, str]]:
    """The example with this machine's ports, file names, and certificate; returns the command and its environment."""
    key, certificate = certificates.make(folder, NAME)
    (folder / "both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    made = Proxy("haproxy", free_port(), free_port())
    site = as_a_user(_with_nodes((ROOT / "deploy" / "haproxy.cfg").read_text("utf-8"), upstreams))
    for example, here in {
        "/etc/haproxy/auth.example.com.pem": str(folder / "both.pem"),
        "bind :443 ssl": f"bind 127.0.0.1:{made.port} ssl",
        "bind :80": f"bind 127.0.0.1:{made.plain_port}",
        "log /dev/log local0": "log stdout format raw local0",
    }.items():
        assert site.count(example) == 1, example
        site = site.replace(example, here)
    (folder / "haproxy.cfg").write_text(site)
    haproxy, seen = program()
    return made, [haproxy, "-db", "-f", str(folder / "haproxy.cfg")], seen


def _with_nodes(example: str, upstreams: tuple[int, ...]) -> str:
    """Each node is listed twice; the second entry is for when every check has failed."""
    checked, last, unchecked = example.partition("    # If all checks fail")
    assert last
    return with_nodes(checked, "server node2 ", upstreams) + with_nodes(last + unchecked, "server last2 ", upstreams)


def tested(folder: Path) -> str:
    """The output of ``haproxy -c`` for the example."""
    _, command, seen = configured(folder, 8080)
    done = subprocess.run([*command, "-c", "-V"], env=seen, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@contextlib.contextmanager
def running(folder: Path, *upstreams: int) -> Iterator[Proxy]:
    """Run HAProxy in front of the servers at these ports, until the block ends."""
    made, command, seen = configured(folder, *upstreams)
    with kept_running(made, command, seen, folder / "access.log"):
        yield made
