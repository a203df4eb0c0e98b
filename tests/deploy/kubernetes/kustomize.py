"""Runs kustomize: the machine's, or the one of Debian's package, unpacked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.interop.providers import install


def build(folder: Path) -> str:
    """The documents of a kustomization."""
    program = shutil.which("kustomize") or str(install.debian("kustomize", "kustomize") / "usr/bin/kustomize")
    done = subprocess.run([program, "build", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
