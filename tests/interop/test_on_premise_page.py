"""The on-premise page of the docs, run in a real shell from its first command to its last."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.architecture import docs_pages
from tests.architecture.links import ROOT
from tests.interop.browser import Browser, Step
from tests.interop.providers.oidc_provider import SECRET, OidcProvider
from tests.interop.providers.people import ALICE as _ALICE
from tests.interop.service import AUTH, OIDC
from tests.support.application import PASSWORD
from tests.support.commands import environment, until
from tests.support.processes import ending_with_us, free_port

pytestmark = pytest.mark.endurance

PROGRAMS = ("curl",)
ALICE = replace(_ALICE, email="alice@acme.example")
PUBLIC = "https://auth.example.com"
READY = 'for _ in $(seq 200); do curl -sf "$BASE/readyz" > /dev/null && break; sleep 0.1; done'
BROWSE = "touch now; until [ -e done ]; do sleep 0.1; done"


def _script(issuer: str, port: int) -> str:
    """The commands of the first part. What differs: passwords are not typed, the provider is one of this machine, the
    port is free, the other terminal is this one, and the proxy is in the browser."""
    tutorial = docs_pages.text_of("on-premise.md").partition("## What a licence does")[0]
    lines = "".join(re.findall(r"^```sh\n(.*?)^```", tutorial, re.MULTILINE | re.DOTALL))
    for told, here in (
        ("pip install", "pip install --quiet --disable-pip-version-check"),
        ("https://sso.acme.example/realms/acme", issuer),
        ("--client-id manifest", "--client-id RS256"),
        ("admin create root", f"admin create root --password-stdin <<< '{PASSWORD}'"),
        ("--client acme --role Admin", f"--client acme --role Admin --password-stdin <<< '{PASSWORD}'"),
        ("serve\n", f"serve --port {port} > server.log 2>&1 &\nSERVER=$!\ntrap 'kill $SERVER' EXIT\n"),
        ("http://127.0.0.1:8080", f"http://127.0.0.1:{port}"),
        ('"password":"…"', f'"password":"{PASSWORD}"'),
        ("curl -s $BASE/readyz\n", f"{READY}\ncurl -s $BASE/readyz\n"),
        ("}'\nvenv/bin/manifest-auth license status\n", f"}}'\n{BROWSE}\nvenv/bin/manifest-auth license status\n"),
    ):
        assert lines.count(told) == 1, told
        lines = lines.replace(told, here)
    return f"set -euo pipefail\n{lines}"


def _newcomer(folder: Path, script: str) -> subprocess.Popen[bytes]:
    """In a copy of what the repository needs to be installed, and with no setting of anybody."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "provider.secret").write_text(f"{SECRET}\n")
    seen = environment(folder, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    del seen["MANIFEST_DATA_DIR"]
    command = ending_with_us(["bash", "-c", script], "TERM")
    with (folder / "shown").open("wb") as shown:
        return subprocess.Popen(
            command, cwd=folder, env=seen, stdin=subprocess.DEVNULL, stdout=shown, stderr=subprocess.STDOUT
        )


@contextmanager
def _provider(folder: Path) -> Iterator[OidcProvider]:
    provider = OidcProvider(folder, [f"{PUBLIC}{OIDC}/callback/acme/company"])
    provider.put(ALICE)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def _signs_in(provider: OidcProvider, shown: str, port: int) -> Any:
    """Alice opens the address that ``provider add`` printed; who she is then."""
    [address] = re.findall(r"^People sign in at (\S+)$", shown, re.MULTILINE)
    with Browser({PUBLIC: f"http://127.0.0.1:{port}"}) as browser:
        came_to = provider.visit(browser, Step("GET", address), ALICE, "https://app.acme.example/signed-in")
        assert isinstance(came_to, Step), came_to.text
        return json.loads(browser.take(Step("GET", f"{PUBLIC}{AUTH}/me")).text)["data"]


def test_a_newcomer_gets_an_installation_by_the_commands_of_the_page(tmp_path: Path) -> None:
    port, home = free_port(), tmp_path / "home"
    home.mkdir()
    shown = home / "shown"
    with _provider(tmp_path) as provider:
        running = _newcomer(home, _script(provider.issuer, port))
        try:
            until(lambda: (home / "now").exists() or running.poll() is not None, 180)
            assert running.poll() is None, shown.read_text()
            who = _signs_in(provider, shown.read_text(), port)
            (home / "done").touch()
            assert running.wait(60) == 0, shown.read_text()
        finally:
            running.terminate()
            running.wait(10)
    assert (who["user"]["email"], who["user"]["clientId"], who["roles"]) == (ALICE.email, "acme", ["Viewer"])
    told = shown.read_text()
    assert re.findall(r'"state": "(\w+)"', told) == ["missing", "valid", "valid"]
    assert [json.loads(f"{{{found}}}") for found in re.findall(r'"seatsUsed": {([^}]*)}', told)][-1] == {
        "full": 1, "operate": 0, "connect": 1,
    }  # fmt: skip
    assert '{"success":true,"data":{"status":"ready"}}' in told
    assert '"email":"ada@acme.example"' in told
    assert "integrity_check: ok" in told
    assert " BAD " not in told
    for secret in (SECRET, (home / "vendor.private").read_text().strip(), PASSWORD):
        assert secret not in told
    backup, key = home / "backup.tar", home / "backup.secret.key"
    assert key.read_bytes() == (home / "data" / "secret.key").read_bytes()
    assert {path.stat().st_mode & 0o077 for path in (home / "vendor.private", home / "environment", backup, key)} == {0}
    assert not (home / "tried").exists()
    assert not (home / "provider.secret").exists()
