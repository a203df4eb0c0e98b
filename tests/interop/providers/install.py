"""Installs each provider once, by package name, into ``.work/peers``, where later runs find it.

Nothing is installed into the system: npm packages go into a folder, PyPI packages into separate environments, and
Debian packages are unpacked, all without root. Failures raise :class:`ProviderMissing`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.processes import ending_with_us

PROVIDERS = Path(__file__).resolve().parents[3] / ".work" / "peers"
_SECONDS = 240
#: npm takes no version that was published later, so indirect dependencies keep theirs. Every pin must be older.
_NPM_BEFORE = "2026-11-30"


class ProviderMissing(Exception):
    """A provider is missing and couldn't be installed, so its tests fail."""


def npm(name: str, pins: dict[str, Any]) -> Path:
    """A folder with ``node_modules`` that contain the packages in ``pins`` (a package.json)."""
    npm_program = program("npm", "install Node.js 18 or newer with npm (Debian, Ubuntu: apt-get install npm)")

    def fill(folder: Path) -> None:
        (folder / "package.json").write_text(json.dumps({"private": True, **pins}))
        flags = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")
        _run(name, [npm_program, "install", f"--before={_NPM_BEFORE}", *flags], folder)

    return _once(name, f"{json.dumps(pins, sort_keys=True)} {_NPM_BEFORE}", fill)


def environment(name: str, requirements: Path) -> Path:
    """The Python of a separate environment with pinned requirements, created by the Python that runs the tests."""

    def fill(folder: Path) -> None:
        _run(name, [sys.executable, "-m", "venv", "--clear", str(folder / "venv")], folder)
        pip = [str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(name, [*pip, "--no-deps", "-r", str(requirements)], folder)

    return _once(name, f"{sys.version} {sys.executable} {requirements.read_text()}", fill) / "venv/bin/python"


def debian(name: str, *packages: str, without: str = r"(?!)") -> Path:
    """A folder with the unpacked files of Debian packages and of all their dependencies that the machine lacks.

    ``without`` matches the names of dependencies to omit, such as those for other configurations.
    """
    program("apt-get", "these packages come from Debian or Ubuntu")

    def fill(folder: Path) -> None:
        debs = folder / "debs"
        debs.mkdir()
        apt = _apt()
        planned = _run(name, [*apt, "install", "--simulate", "--no-install-recommends", *packages], folder)
        needed = re.findall(r"^Inst (\S+)", planned, re.MULTILINE)
        wanted = {*packages, *(package for package in needed if not re.match(without, package))}
        _run(name, [*apt, "download", *sorted(wanted)], debs)
        for archive in sorted(debs.glob("*.deb")):
            _run(name, ["dpkg-deb", "-x", str(archive), str(folder / "root")], folder)
        shutil.rmtree(debs)

    system = platform.freedesktop_os_release()
    return _once(name, f"{system['ID']} {system.get('VERSION_ID', '')} {platform.machine()} {packages}", fill) / "root"


def _apt() -> list[str]:
    """apt-get with separate lists and a separate cache, because the system's need root and can be empty, as in
    container images. The lists are at most an hour old."""
    folder = PROVIDERS / "apt"
    apt = ["apt-get", "-qq", "-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
    apt += ["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]
    # Container images turn these off, so that each call would take two seconds to unpack and parse all lists.
    apt += ["-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin"]
    apt += ["-o", "Acquire::GzipIndexes=false"]
    with _alone("apt"):
        mark = folder / "updated"
        if not mark.exists() or mark.stat().st_mtime < time.time() - 3600:
            for each in ("lists/partial", "cache/archives/partial"):
                (folder / each).mkdir(parents=True, exist_ok=True)
            _run("apt", [*apt, "update"], folder)
            mark.touch()
    return apt


def debian_root(suite: str, *packages: str) -> Path:
    """The root of a minimal Debian of that suite (``trixie``) with these packages and the essential ones, created by
    mmdebstrap. It must not be changed."""
    script = debian("mmdebstrap", "mmdebstrap") / "usr/bin/mmdebstrap"
    perl = program("perl", "install perl")

    def fill(folder: Path) -> None:
        chosen = ["--mode=root", "--variant=minbase", f"--include={','.join(packages)}", "--quiet"]
        mirror = "http://deb.debian.org/debian"
        _run(suite, [perl, str(script), *chosen, suite, str(folder / "root"), mirror], folder)

    return _once(f"debian-{suite}", f"{platform.machine()} {packages}", fill) / "root"


def libraries(root: Path) -> str:
    """``LD_LIBRARY_PATH`` for programs of unpacked Debian packages."""
    return ":".join(str(folder) for folder in (*sorted(root.glob("usr/lib/*-linux-gnu*")), root / "usr/lib"))


def program(name: str, advice: str) -> str:
    """The path of a program on the machine. Raises ProviderMissing if it isn't installed."""
    found = shutil.which(name)
    if found is None:
        raise ProviderMissing(f"{name} is missing: {advice}")
    return found


def _once(name: str, pins: str, fill: Callable[[Path], None]) -> Path:
    """The folder of a provider, filled again unless it was completed with exactly these pins."""
    folder, mark = PROVIDERS / name, PROVIDERS / name / "installed"
    with _alone(name):
        if not mark.exists() or mark.read_text() != pins:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            fill(folder)
            mark.write_text(pins)
    return folder


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep two concurrent test runs from filling the same folder."""
    PROVIDERS.mkdir(parents=True, exist_ok=True)
    with (PROVIDERS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(name: str, command: list[str], folder: Path) -> str:
    # If a run is killed, its child must stop filling the folder, because the next run fills it again.
    ending = ending_with_us(command, "KILL")
    try:
        done = subprocess.run(ending, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as slow:
        raise ProviderMissing(f"{name}: {' '.join(command)} took more than {_SECONDS} s") from slow
    if done.returncode != 0:
        raise ProviderMissing(f"{name}: {' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
