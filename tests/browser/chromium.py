"""Starts headless Chromium with a new profile each time; names in .example resolve to this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.processes import ending_with_us


def page_after(address: str, profile: Path, seconds: int = 20) -> str:
    """The browser's final document, after redirects, scripts, and form posts."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "the tests need Chromium (Debian: apt-get install chromium)"
    command = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--ignore-certificate-errors",
        "--host-resolver-rules=MAP *.example 127.0.0.1",
        f"--user-data-dir={profile}",
        "--enable-logging=stderr",
        f"--virtual-time-budget={seconds * 1000}",
        "--dump-dom",
        address,
    ]
    done = subprocess.run(ending_with_us(command, "KILL"), capture_output=True, text=True, timeout=60, check=False)
    return done.stdout or done.stderr[-3000:]
