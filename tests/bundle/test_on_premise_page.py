"""Runs the docs page about on-premise installation, from first to last command, on a bare machine without a network."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.architecture import docs_pages
from tests.bundle import as_a_service, making
from tests.bundle.bare_machine import Machine, system, without_links
from tests.interop.browser import Browser, Step
from tests.interop.providers import oidc_provider
from tests.interop.providers.oidc_provider import SECRET, OidcProvider
from tests.interop.providers.people import ALICE as _ALICE
from tests.interop.service import AUTH, OIDC
from tests.support.application import PASSWORD
from tests.support.postgres import Databases
from tests.support.rules import rule

pytestmark = [
    pytest.mark.needs("curl", "gcc", "git", "node", "npm", "openssl", "strace"),
    pytest.mark.endurance,
    pytest.mark.timeout(900),
    pytest.mark.needs_root,
]

ALICE = replace(_ALICE, email="alice@acme.example")
PUBLIC, HERE = "https://auth.example.com", "http://127.0.0.1:8080"
#: Processor time for all commands of the page, since the elapsed time depends on the machine's other load.
_SECONDS = 120
# Differences from the page: version numbers, passwords aren't typed, the provider runs on this machine, and a bare
# Debian has no openssl.
_HERE = (
    ("VERSION", making.VERSION),
    ("NEXT", making.NEXT),
    (".tar --service", ".tar --service --unsigned"),
    ("install --service", "install --service --unsigned"),
    ("--client-id manifest", "--client-id RS256"),
    ("admin create root", f"admin create root --password-stdin <<< '{PASSWORD}'"),
    ("--client acme --role Admin", f"--client acme --role Admin --password-stdin <<< '{PASSWORD}'"),
    ('"password":"…"', f'"password":"{PASSWORD}"'),
)


def _blocks(issuer: str) -> list[str]:
    """The commands of the first part."""
    page = docs_pages.text_of("on-premise.md").partition("## The bundle")[0]
    found = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    changes = [*_HERE, ("https://sso.acme.example/realms/acme", issuer)]
    for told, here in changes:
        assert any(told in block for block in found), told
        found = [block.replace(told, here) for block in found]
    return found


@contextmanager
def _provider(folder: Path) -> Iterator[OidcProvider]:
    provider = OidcProvider(folder, [f"{PUBLIC}{OIDC}/callback/acme/company"])
    provider.put(ALICE)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def _signs_in(provider: OidcProvider, shown: str) -> Any:
    """Alice opens the URL that ``provider add`` printed; returns her user."""
    [address] = re.findall(r"^Users sign in at (\S+)$", shown, re.MULTILINE)
    with Browser({PUBLIC: HERE}) as browser:
        came_to = provider.visit(browser, Step("GET", address), ALICE, f"{PUBLIC}/account")
        assert isinstance(came_to, Step), came_to.text
        return json.loads(browser.take(Step("GET", f"{PUBLIC}{AUTH}/me")).text)["data"]


def _outside(block: str, folder: Path) -> str:
    """Run the block on a machine that has openssl and curl."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@rule("SETTINGS-SAFE")
@pytest.mark.parametrize("suite", ["trixie", pytest.param("bookworm", marks=pytest.mark.release)])
def test_the_commands_of_the_page_on_a_bare_machine_without_a_network(
    tmp_path: Path, suite: str, postgres: Databases
) -> None:
    """Then tests the resulting service under systemd."""
    bundles = [making.signed(version).file for version in (making.VERSION, making.NEXT)]
    bare, _ = system(suite), oidc_provider.installed()
    with without_links(), _provider(tmp_path) as provider:
        machine = Machine(tmp_path, bare)
        for bundle in bundles:
            shutil.copy(bundle, machine.home)
        public = making.KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (machine.home / "release.pem").write_bytes(public)
        (machine.home / "provider.secret").write_text(f"{SECRET}\n")
        told: list[str] = []
        began, took, who = time.monotonic(), 0.0, None
        try:
            for block in _blocks(provider.issuer):
                outside = "openssl" in block or "curl" in block
                told.append(_outside(block, machine.home) if outside else machine.run(block))
                if "curl" in block:
                    took = time.monotonic() - began
                    who = _signs_in(provider, "".join(told))
            whole, spent = time.monotonic() - began, machine.processor_seconds()
            as_a_service.prove(machine, postgres.empty_database() if suite == "trixie" else None)
        finally:
            machine.power_cut()
    print(f"{suite}: {took:.1f} s to a sign-in under a licence, {whole:.1f} s to the page's end, "
          f"{spent:.1f} s of a processor")  # fmt: skip
    assert spent <= _SECONDS
    assert who is not None
    assert (who["user"]["email"], who["user"]["clientId"], who["roles"]) == (ALICE.email, "acme", ["Viewer"])
    _told_what_it_should(told)
    assert machine.connected() == {"127.0.0.1"}
    _is_closed(machine)


def _told_what_it_should(blocks: list[str]) -> None:
    told = "".join(blocks)
    assert "Signature Verified Successfully" in blocks[0]
    assert re.findall(r'"state": "(\w+)"', told) == ["missing", "valid", "valid"]
    assert [json.loads(f"{{{found}}}") for found in re.findall(r'"seatsUsed": {([^}]*)}', told)][-1] == {
        "full": 1, "operate": 0, "connect": 1,
    }  # fmt: skip
    assert '{"success":true,"data":{"status":"ready"}}' in told
    assert '"email":"ada@acme.example"' in told
    assert "integrity_check: ok" in told
    assert " BAD " not in told
    if "avx2" in Path("/proc/cpuinfo").read_text():
        assert "hashing: built for this processor" in told
    shown = re.findall(r"^manifest-auth (\S+) \([0-9a-f]{12}, schema \d{4}\)$", told, re.MULTILINE)
    assert shown == [making.NEXT, making.VERSION]
    # The unit always belongs to the current release, and the page's other commands don't change it.
    assert re.findall(r"^service: \S+/(\S+) is that of (\S+) now;", told, re.MULTILINE) == [
        ("manifest-auth.service", making.NEXT), ("manifest-auth.service", making.VERSION),
    ]  # fmt: skip
    for secret in (SECRET, PASSWORD):
        assert secret not in told


def _is_closed(machine: Machine) -> None:
    """Check the files' permissions."""
    private = ("vendor.private", "backup.tar", "backup.secret.key")
    data, settings = machine.root / "var/lib/manifest-auth", machine.root / "etc/manifest-auth/environment"
    files = [*(machine.home / name for name in private), data / "secret.key"]
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
    owner, group = data.stat().st_uid, data.stat().st_gid
    assert 0 not in (owner, group)
    for path, mode in ((settings, 0o640), (settings.parent, 0o750)):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid, path.stat().st_gid) == (mode, 0, group)
    assert {path.stat().st_uid for path in data.rglob("*")} == {owner}
    program = machine.root / "opt/manifest-auth"
    assert {path.lstat().st_uid for path in program.rglob("*")} == {0}
    unit = machine.root / "etc/systemd/system/manifest-auth.service"
    assert unit.read_text().endswith(f"# Of {making.VERSION}\n")
    assert (program / "current").readlink() == Path("releases") / making.VERSION
