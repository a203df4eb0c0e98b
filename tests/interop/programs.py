"""Programs exactly as in the docs, each run as a separate server."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2

from tests.interop.providers import install
from tests.sdk_python import environment
from tests.support.processes import ending_with_us


@contextlib.contextmanager
def running(
    program: str, language: str, folder: Path, packages: Mapping[str, str], port: int, **given: str
) -> Iterator[str]:
    """Run a program; returns its address. ``language`` is ``js``, with ``packages`` from npm, or ``python``, with a
    FastAPI application named ``app``."""
    if language == "js":
        name = "-".join(sorted(packages)).replace("/", "-")
        folder = install.npm(name, {"type": "module", "dependencies": dict(packages)})
        command = [install.program("node", "install Node.js 20 or newer"), "program.mjs"]
    else:
        command = [str(environment.python()), "-m", "uvicorn", "program:app", "--port", str(port)]
    (folder / f"program.{'mjs' if language == 'js' else 'py'}").write_text(program, "utf-8")
    log = folder / "log"
    with log.open("wb") as output:
        environ = {**os.environ, **given, "PORT": str(port)}
        process = subprocess.Popen(
            ending_with_us(command, "KILL"), cwd=folder, env=environ, stdout=output, stderr=output
        )
    try:
        while process.poll() is None:
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"http://127.0.0.1:{port}/", timeout=30)
                break
            time.sleep(0.05)
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
        assert process.poll() is None, log.read_text()
    finally:
        process.kill()
        process.wait()
