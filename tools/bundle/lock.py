"""Reads ``bundle.lock``, the third-party files in bundles and images, and downloads the files of a bundle.

A line of the lock has a name, a version, a file name, and its SHA-256, but no host. ``lock.py`` rewrites it from the
pins in ``constraints.txt``, and is the only program that queries an index for available files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "bundle.lock"
#: The cache of downloaded files between builds.
CACHE = ROOT / ".work" / "bundle"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
#: Bundles support only the first one, and there is an image for each.
MACHINES = ("x86_64", "aarch64")
#: The platform tags of supported wheels, up to glibc 2.28.
PLATFORMS = [*(f"manylinux_2_{minor}" for minor in range(28, 4, -1)), "manylinux2014", "manylinux2010", "manylinux1"]
#: Installs a bundle, and isn't installed itself.
INSTALLER = "pip"
#: The library that is also compiled from source, for newer processors.
COMPILED = "argon2-cffi-bindings"
_HEAD = "# Files of others in a bundle or an image: name, version, file, SHA-256. Written by tools/bundle/lock.py.\n"


class Locked(NamedTuple):
    """A file: a wheel, or the source of :data:`COMPILED`."""

    name: str
    version: str
    file: str
    sha256: str

    @property
    def is_wheel(self) -> bool:
        return self.file.endswith(".whl")


class LockError(Exception):
    """A file is missing or doesn't match the lock. The text names it."""


def read(lock: Path = LOCK) -> list[Locked]:
    """The files, in the order of the lock."""
    lines = lock.read_text("utf-8").splitlines()
    return [Locked(*line.split()) for line in lines if line and not line.startswith("#")]


def for_python(files: Iterable[Locked], python: str, machine: str = MACHINES[0]) -> list[Locked]:
    """The wheels to install for a Python version (``3.11``). Raises LockError for a package without one."""
    wheels = [each for each in files if each.is_wheel]
    found = [each for each in wheels if _fits(each.file, python, machine)]
    if missing := sorted({each.name for each in wheels} - {each.name for each in found}):
        raise LockError(f"bundle.lock has no wheel for Python {python} of: {', '.join(missing)}")
    return found


def _fits(file: str, python: str, machine: str = MACHINES[0]) -> bool:
    tags = parse_wheel_filename(file)[3]
    minor = int(python.partition(".")[2])
    return any(
        tag.interpreter in ("py3", "py2.py3", f"cp3{minor}")
        or (tag.abi == "abi3" and int(tag.interpreter.removeprefix("cp3")) <= minor)
        for tag in tags
        if tag.platform == "any" or tag.platform.endswith(machine)
    )


def fetched(files: Iterable[Locked], cache: Path) -> dict[str, Path]:
    """The files by name, from the cache or, if missing, from pip's index. Raises LockError."""
    cache.mkdir(parents=True, exist_ok=True)
    wanted = list(files)
    missing = [each for each in wanted if not (cache / each.file).exists()]
    for python in PYTHONS:
        _download([each for each in missing if each.is_wheel and _fits(each.file, python)], cache, python)
    _download([each for each in missing if not each.is_wheel], cache, "")
    for each in wanted:
        if not (cache / each.file).exists():
            raise LockError(f"{each.file}: the index does not have it")
        if hashlib.sha256((cache / each.file).read_bytes()).hexdigest() != each.sha256:
            raise LockError(f"{each.file}: its SHA-256 is not the one of bundle.lock")
    return {each.file: cache / each.file for each in wanted}


def _download(files: list[Locked], cache: Path, python: str) -> None:
    wanted = [each for each in files if not (cache / each.file).exists()]
    if not wanted:
        return
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        asked = Path(folder) / "asked"
        asked.write_text("".join(f"{each.name}=={each.version} --hash=sha256:{each.sha256}\n" for each in wanted))
        kind = _target(python) if python else [f"--no-binary={COMPILED}"]
        _pip("download", "--no-deps", "--require-hashes", *kind, "-d", folder, "-r", str(asked))
        for each in wanted:
            if (Path(folder) / each.file).exists():
                (Path(folder) / each.file).replace(cache / each.file)


def _target(python: str, machine: str = MACHINES[0]) -> list[str]:
    abis = (f"cp{python.replace('.', '')}", "abi3", "none")
    options = [f"--python-version={python}", "--implementation=cp", "--only-binary=:all:"]
    return options + [f"--platform={each}_{machine}" for each in PLATFORMS] + [f"--abi={each}" for each in abis]


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PIP_FIND_LINKS": ""}
    )
    if done.returncode != 0:
        raise LockError(f"pip {arguments[0]}: {done.stderr.strip()}")


def write(cache: Path, lock: Path = LOCK) -> None:
    """Writes the lock for the requirements in ``pyproject.toml``, with all extras except ``dev``, at their pinned
    versions."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [name for extra, names in project["optional-dependencies"].items() if extra != "dev" for name in names]
    needed = [*project["dependencies"], *extras, INSTALLER]
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        pins = ["-c", str(ROOT / "constraints.txt"), "-d", folder]
        for python, machine in product(PYTHONS, MACHINES):
            _pip("download", *_target(python, machine), *pins, *needed)
        _pip("download", "--no-deps", f"--no-binary={COMPILED}", *pins, COMPILED)
        found = sorted(map(_locked, Path(folder).iterdir()))
        for each in found:
            shutil.copy(Path(folder) / each.file, cache / each.file)
    lock.write_text(_HEAD + "".join(f"{' '.join(each)}\n" for each in found), "utf-8")


def _locked(path: Path) -> Locked:
    parse = parse_wheel_filename if path.suffix == ".whl" else parse_sdist_filename
    name, version = parse(path.name)[:2]
    return Locked(canonicalize_name(name), str(version), path.name, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    write(parser.parse_args().cache)
