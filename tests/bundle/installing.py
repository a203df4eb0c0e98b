"""Runs the install script of an unpacked bundle."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def environment(**given: str) -> dict[str, str]:
    """The variables of this process but those that steer Python, pip and the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "MANIFEST_"))}
    return {**kept, **given}


def command(bundle: Path, *options: str) -> list[str]:
    return ["sh", str(bundle / "install"), *options]


def install(bundle: Path, *options: str, **given: str) -> subprocess.CompletedProcess[str]:
    """To its end. ``given``: variables of its environment."""
    return subprocess.run(
        command(bundle, *options), env=environment(**given), capture_output=True, text=True, timeout=120, check=False
    )
