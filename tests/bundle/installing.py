"""Runs the install script of an unpacked bundle."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def environment(**given: str) -> dict[str, str]:
    """The variables of this process, except those that affect Python, pip, and the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "MANIFEST_"))}
    return {**kept, **given}


def upgrade(prefix: Path, bundle: Path, *options: str) -> list[str]:
    """The command with which the currently installed release installs that bundle."""
    return ["sh", str(prefix / "current/install"), "--prefix", str(prefix), "--from", str(bundle), *options]


def install(bundle: Path, *options: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run the installation to completion. ``given`` are environment variables."""
    return installed(bundle / "install", *options, **given)


def installed(script: Path, *options: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Like :func:`install`, with the given script."""
    return subprocess.run(
        ["sh", str(script), *options],
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
