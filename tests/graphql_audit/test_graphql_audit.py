"""Every check of the npm package graphql-http's server audit is "ok" on a real server, for a signed-in caller."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, Server, served

HERE = Path(__file__).parent
WORK = HERE.parents[1] / ".work" / "graphql-audit"
CHECKS = 61  # in the pinned version; fewer means that some didn't run


def program(name: str) -> str:
    """The path of a Node.js program. If it's missing, the test fails, because a check that didn't run didn't pass."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: install Node.js 18 or newer with npm (Debian, Ubuntu: apt-get install npm)")
    return found


def installed() -> Path:
    """The folder with the pinned packages, which are installed again only when the pins change."""
    npm = program("npm")
    WORK.mkdir(parents=True, exist_ok=True)
    pins = (HERE / "package.json").read_text()
    mark = WORK / "installed.json"
    if not mark.exists() or mark.read_text() != pins:
        (WORK / "package.json").write_text(pins)
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"]
        done = subprocess.run(command, cwd=WORK, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, f"npm install failed: {done.stdout}{done.stderr}"
        mark.write_text(pins)
    shutil.copy(HERE / "audit.mjs", WORK)
    return WORK


def sign_in(server: Server) -> str:
    body = json.dumps({"email": "viewer@acme.example", "password": DEMO_PASSWORD}).encode()
    request = urllib.request.Request(
        f"{server.base}/api/client/auth/sign-in", body, {"Content-Type": "application/json", "X-Client-ID": "acme"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["data"]["token"])


def audit(server: Server) -> list[dict[str, Any]]:
    environment = {
        **os.environ,
        "AUDIT_URL": f"{server.base}/api/client/graphql",
        "AUDIT_TOKEN": sign_in(server),
    }
    command = [program("node"), "audit.mjs"]
    done = subprocess.run(command, cwd=installed(), env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


@rule("GRAPHQL-HTTP")
def test_the_server_passes_every_check_of_the_graphql_over_http_audit(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        results = audit(server)
    failed = [f"{r['id']} {r['status']}: {r['name']} ({r['reason']})" for r in results if r["status"] != "ok"]
    assert not failed, "\n".join(failed)
    assert len({r["id"] for r in results}) >= CHECKS
