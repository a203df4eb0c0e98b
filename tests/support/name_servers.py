"""Real name servers on loopback ports: nsd serves a zone, and unbound queries it and validates DNSSEC."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import dns.dnssec
import dns.message
import dns.query
import dns.rdatatype
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm

from tests.support.processes import ending_with_us, free_port

_HEAD = """\
$ORIGIN {name}.
$TTL 60
@ IN SOA ns.{name}. admin.{name}. {serial} 3600 600 86400 60
@ IN NS ns.{name}.
ns IN A 127.0.0.1
"""
_NSD = """\
server:
  server-count: 1
  ip-address: 127.0.0.1
  port: {port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  pidfile: ""
  logfile: "{folder}/nsd.log"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  cookie-secret-file: ""
remote-control:
  control-enable: yes
  control-interface: "{folder}/control"
"""
_ZONE = """\
zone:
  name: "{name}"
  zonefile: "{name}.zone"
"""
_UNBOUND = """\
server:
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  logfile: "{folder}/unbound.log"
  do-not-query-localhost: no
  do-ip6: no
  qname-minimisation: no
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  num-threads: 1
  module-config: "validator iterator"
  trust-anchor: "{anchor}"
stub-zone:
  name: "example"
  stub-addr: 127.0.0.1@{upstream}
  stub-no-cache: yes
remote-control:
  control-enable: no
"""
SIGNED = "signed.example"


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert found is not None, f"{name} is not installed; ./dev test installs it"
    return found


@dataclass
class NameServer:
    """An authoritative server. ``example`` holds plain lines, :data:`SIGNED` is signed; ``port`` is set while it
    runs."""

    port: int = field(default_factory=free_port)
    serial: int = 1
    lines: list[str] = field(default_factory=list)
    signed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nsd")
        self._key: Any = ec.generate_private_key(ec.SECP256R1())
        self.dnskey = dns.dnssec.make_dnskey(self._key.public_key(), Algorithm.ECDSAP256SHA256, flags=257)

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        zones = "".join(_ZONE.format(name=name) for name in ("example", SIGNED))
        (folder / "nsd.conf").write_text(_NSD.format(port=self.port, folder=folder) + zones)
        self._write()
        command = [_program("nsd"), "-d", "-c", str(folder / "nsd.conf")]
        self._process = subprocess.Popen(ending_with_us(command, "KILL"), stderr=subprocess.DEVNULL)
        wait_for(self.port, self.serial)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def publish(self, *lines: str) -> None:
        """Replace the zone ``example`` with these lines."""
        self.lines = list(lines)
        self._reload()

    def publish_signed(self, *lines: str, forged: tuple[str, str] = ("", "")) -> None:
        """Like :meth:`publish`, for :data:`SIGNED`. ``forged`` is a text, and its replacement after signing."""
        self.signed = list(lines)
        self._reload(forged)

    def _reload(self, forged: tuple[str, str] = ("", "")) -> None:
        self.serial += 1
        self._write(forged)
        config = str(Path(self._folder.name) / "nsd.conf")
        subprocess.run([_program("nsd-control"), "-c", config, "reload"], check=True, capture_output=True)
        wait_for(self.port, self.serial)

    def _write(self, forged: tuple[str, str] = ("", "")) -> None:
        folder = Path(self._folder.name)
        text = _zone(SIGNED, self.serial, self.signed)
        zone = dns.zone.from_text(text, origin=f"{SIGNED}.", relativize=False)
        now = time.time()
        dns.dnssec.sign_zone(
            zone, keys=[(self._key, self.dnskey)], dnskey_ttl=60,
            inception=datetime.fromtimestamp(now - 3600, UTC), expiration=datetime.fromtimestamp(now + 86400, UTC),
        )  # fmt: skip
        made = zone.to_text(relativize=False)
        if forged[0]:
            assert forged[0] in made
            made = made.replace(*forged)
        (folder / f"{SIGNED}.zone").write_text(made)
        delegation = [f"{SIGNED}. IN NS ns.{SIGNED}.", f"ns.{SIGNED}. IN A 127.0.0.1"]
        (folder / "example.zone").write_text(_zone("example", self.serial, [*delegation, *self.lines]))


@dataclass
class Resolver:
    """A validating resolver that trusts the key of ``upstream``'s signed zone."""

    upstream: NameServer
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="unbound")
        folder = Path(self._folder.name)
        anchor = f"{SIGNED}. DNSKEY {self.upstream.dnskey.to_text()}"
        config = _UNBOUND.format(port=self.port, folder=folder, upstream=self.upstream.port, anchor=anchor)
        (folder / "unbound.conf").write_text(config)
        command = [_program("unbound"), "-d", "-c", str(folder / "unbound.conf")]
        self._process = subprocess.Popen(ending_with_us(command, "KILL"), stderr=subprocess.DEVNULL)
        wait_for(self.port, self.upstream.serial)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def wait_for(port: int, serial: int) -> None:
    """Wait until the server returns this serial number, at most ten seconds."""
    until = time.monotonic() + 10
    question = dns.message.make_query("example.", "SOA")
    while time.monotonic() < until:
        try:
            answer = dns.query.tcp(question, "127.0.0.1", port=port, timeout=1)
        except (OSError, EOFError, dns.exception.DNSException):
            answer = None
        found: Sequence[dns.rrset.RRset] = answer.answer if answer is not None else []
        if found and found[0].rdtype == dns.rdatatype.SOA and found[0][0].serial == serial:
            return
        time.sleep(0.02)
    raise AssertionError(f"no answer from port {port} with serial {serial}")


def _zone(name: str, serial: int, lines: Sequence[str]) -> str:
    return _HEAD.format(name=name, serial=serial) + "".join(f"{line}\n" for line in lines)


def txt(name: str, *strings: str) -> str:
    """A TXT line of a zone, with one or more strings."""
    quoted = " ".join(f'"{string}"' for string in strings)
    return f"{name}. IN TXT {quoted}"
