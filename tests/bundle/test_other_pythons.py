"""For Python versions that the tests don't run on, the bundle contains every library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bundle import making
from tests.bundle.installing import environment
from tests.support.matrix import matrix
from tools.bundle import lock

pytestmark = [pytest.mark.needs("gcc", "git", "openssl"), pytest.mark.endurance, pytest.mark.timeout(300)]


@matrix("python", lock.PYTHONS)
def test_every_requirement_has_a_wheel(python: str, tmp_path: Path) -> None:
    """Uses the bundle's installer, for glibc 2.28."""
    folder = making.signed().folder
    [pip] = (folder / "wheels").glob("pip-*.whl")
    abis = [f"--abi={abi}" for abi in (f"cp{python.replace('.', '')}", "abi3", "none")]
    command = [sys.executable, "-I", str(pip / "pip"), "--isolated", "install", "--dry-run", "--no-index"]
    command += ["--find-links", "wheels", "--require-hashes", "--only-binary=:all:", f"--python-version={python}"]
    command += ["--implementation=cp", *abis, *(f"--platform={each}_x86_64" for each in lock.PLATFORMS)]
    command += ["--target", str(tmp_path), "--ignore-installed", "--quiet", "--report=-", "-r", "requirements.txt"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {each["metadata"]["name"].lower() for each in json.loads(done.stdout)["install"]}
    assert "manifest-auth" in found
    assert len(found) == len(lock.for_python(lock.read(), python))  # without pip, but with our package
