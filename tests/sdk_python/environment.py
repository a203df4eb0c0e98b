"""The library's files, built once per run, and an empty environment with the wheel installed from its file."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.architecture.links import ROOT
from tests.support import run_folder

SUITE = Path(__file__).parent / "suite"
_TOOLS = ("pytest", "pytest-asyncio", "pytest-timeout", "uvicorn")


def files() -> Path:
    """The folder with the wheel and the source archive, as ``./dev sdk`` builds them."""
    folder = run_folder.folder() / "sdk"
    with run_folder.locked("sdk-files"):
        if not folder.exists():
            making = folder.with_name("sdk-making")
            subprocess.run([sys.executable, "tools/sdk/python_library.py", str(making)], cwd=ROOT, check=True)
            making.rename(folder)
    return folder


def wheel() -> Path:
    """The path of the wheel."""
    [found] = files().glob("*.whl")
    return found


def python() -> Path:
    """The Python of an environment with the wheel, its dependencies as pinned by ``constraints.txt``, and pytest."""
    place = run_folder.folder() / "sdk-environment"
    program, done = place / "bin" / "python", place / "is-done"
    file = wheel()
    with run_folder.locked("sdk-environment"):
        if not done.exists():
            venv.create(place, with_pip=False, symlinks=True)
            install(program, f"manifest-auth-client[verify,fastapi,starlette] @ {file.as_uri()}", *_TOOLS)
            done.touch()
    return program


def install(program: Path, *what: str) -> None:
    """Install packages into the environment of a Python without pip."""
    pip = [sys.executable, "-m", "pip", "--python", str(program), "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), *what], check=True, env=clean())


def clean(**given: str) -> dict[str, str]:
    """The variables of this process, except those that name modules or settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MANIFEST_", "PYTEST"))}
    return {**kept, **given}


def run_suite(*arguments: str, seconds: float = 100, **given: str) -> str:
    """Run tests of the suite in that environment; returns pytest's output, or fails with it."""
    command = [str(python()), "-m", "pytest", "-c", str(SUITE / "pytest.ini"), "--confcutdir", str(SUITE), *arguments]
    done = subprocess.run(
        command, cwd=SUITE, env=clean(**given), capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def run(script: str, *arguments: Sequence[str], seconds: float = 60, **given: str) -> str:
    """Run a script in that environment; returns its output, or fails with its errors."""
    command = [str(python()), "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=clean(**given), capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
