"""The page for newcomers: its commands, one after the other in a real shell, end in an installation under a licence."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

from manifest_auth.clock import Clock
from tests.architecture import pages
from tests.support.commands import environment
from tests.support.house import PASSWORD
from tests.support.oidc_op import provider
from tests.support.server import free_port

READY = 'for _ in $(seq 200); do curl -sf "$BASE/readyz" > /dev/null && break; sleep 0.1; done'


def _script(issuer: str, port: int) -> str:
    """The commands of the first part. What differs: the program is installed already, passwords are not typed, address
    and provider are of this machine, and the other terminal is this one."""
    tutorial = pages.text_of("on-premise.md").partition("## What a licence does")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", tutorial, re.MULTILINE | re.DOTALL)
    assert "-m venv" in blocks[0]
    lines = "".join(blocks[1:])
    for told, here in (
        ("venv/bin/manifest-auth", f"{sys.executable} -m manifest_auth"),
        ("https://auth.example.com", f"http://127.0.0.1:{port}"),
        ("https://sso.acme.example/realms/acme", issuer),
        ("admin create root", f"admin create root --password-stdin <<< '{PASSWORD}'"),
        ("--client acme --role Admin", f"--client acme --role Admin --password-stdin <<< '{PASSWORD}'"),
        ("serve\n", f"serve --port {port} > server.log 2>&1 &\nSERVER=$!\ntrap 'kill $SERVER' EXIT\n"),
        ('"password":"…"', f'"password":"{PASSWORD}"'),
        ("curl -s $BASE/readyz\n", f"{READY}\ncurl -s $BASE/readyz\n"),
    ):
        assert lines.count(told) >= 1, told
        lines = lines.replace(told, here)
    return f"set -euo pipefail\n{lines}"


def test_a_newcomer_gets_an_installation_by_the_commands_of_the_page(tmp_path: Path) -> None:
    with provider(Clock()) as op:
        (tmp_path / "provider.secret").write_text(f"{op.client_secret}\n")
        script = _script(op.issuer, free_port()).replace("--client-id manifest", f"--client-id {op.client_id}")
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"state": "missing"' in done.stdout
    assert '"state": "valid"' in done.stdout
    answers = [json.loads(line) for line in re.findall(r'\{"success".*?\}(?=\{"success"|$)', done.stdout, re.MULTILINE)]
    assert answers[0]["data"] == {"status": "ready"}
    assert answers[-1]["data"]["user"]["email"] == "ada@acme.example"
    backup = sqlite3.connect(tmp_path / "backup.db")
    assert backup.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for table in ("licences", "tenants", "providers", "users", "system_admins"):
        assert backup.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,), table
    backup.close()
    assert (tmp_path / "backup.secret.key").read_bytes() == (tmp_path / "data" / "secret.key").read_bytes()
    assert (tmp_path / "vendor.private").stat().st_mode & 0o077 == 0
