"""Every check of the npm package graphql-http's server audit is "ok" on a real server, for a signed-in caller."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from tests.interop.providers import install
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, Server, served

HERE = Path(__file__).parent
CHECKS = 61  # in the pinned version; fewer means that some didn't run


def installed() -> Path:
    """The folder with the pinned packages and the audit."""
    folder = install.npm("graphql-audit", json.loads((HERE / "package.json").read_text()))
    shutil.copy(HERE / "audit.mjs", folder)
    return folder


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
    node = install.program("node", "install Node.js 18 or newer (Debian, Ubuntu: apt-get install nodejs)")
    command = [node, "audit.mjs"]
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
