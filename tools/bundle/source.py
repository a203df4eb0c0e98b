"""Exports the files of a commit from Git, and builds the program's wheel and the HTML docs from them.

A bundle contains only files that Git tracks. If they differ from the last commit, their current content is used, and
the commit is marked with ``-dirty``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib import metadata
from io import BytesIO
from pathlib import Path

_SITE = "src/manifest_auth/api/site"
_ABOUT = "src/manifest_auth/__init__.py"
_UNBUILT = '__commit__ = "unbuilt"\n'


@dataclass(frozen=True)
class Source:
    """The files of a commit in ``folder``. ``at`` is the commit's time, in seconds since 1970, and ``schema`` is its
    newest schema."""

    folder: Path
    commit: str
    at: int
    version: str
    schema: str

    @property
    def name(self) -> str:
        """The name of the bundle and of the folder in it."""
        return f"manifest-auth-{self.version}-linux-x86_64"

    def environment(self) -> dict[str, str]:
        """Environment variables that make builds reproducible."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MANIFEST_"))}
        fixed = {"SOURCE_DATE_EPOCH": str(self.at), "PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        fixed["PYTHONPATH"] = str(self.folder / "src")  # build the docs from the commit's code
        return {**kept, **fixed, "NO_MKDOCS_2_WARNING": "1"}


def taken(repository: Path, folder: Path) -> Source:
    """Exports the files of the repository's last commit to a new folder."""
    commit, at = _git(repository, "log", "-1", "--format=%H %ct").decode().split()
    changed = _git(repository, "stash", "create").decode().strip()
    with tarfile.open(fileobj=BytesIO(_git(repository, "archive", "--format=tar", changed or commit))) as archive:
        archive.extractall(folder, filter="data")
    told = f"{commit[:12]}-dirty" if changed else commit[:12]
    about = (folder / _ABOUT).read_text("utf-8")
    assert about.count(_UNBUILT) == 1, _ABOUT
    (folder / _ABOUT).write_text(about.replace(_UNBUILT, f'__commit__ = "{told}"\n'), "utf-8")
    [version] = re.findall(r'^__version__ = "(.+)"$', about, re.MULTILINE)
    revisions = (folder / "src/manifest_auth/store/migrations/versions").glob("v????_*.py")
    return Source(folder, told, int(at), version, max(path.name[1:5] for path in revisions))


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, check=True).stdout


def built(source: Source, wheels: Path, site: Path) -> Path:
    """Builds the docs into ``site`` and the wheel, which includes them, into ``wheels``. Returns the wheel."""
    pinned = (source.folder / "constraints.txt").read_text("utf-8")
    assert f"hatchling=={metadata.version('hatchling')}\n" in pinned, "another hatchling than constraints.txt pins"
    _python(source, "mkdocs", "build", "--strict")
    shutil.copytree(source.folder / _SITE, site)
    (site / "site.json").unlink()  # only the server needs it
    _python(source, "hatchling", "build", "-t", "wheel", "-d", str(wheels))
    [wheel] = wheels.glob("manifest_auth-*.whl")
    return wheel


def archived(source: Source, folder: Path) -> Path:
    """Builds the source archive into ``folder``. It includes the docs that :func:`built` added to the program."""
    _python(source, "hatchling", "build", "-t", "sdist", "-d", str(folder))
    return folder / f"manifest_auth-{source.version}.tar.gz"


def _python(source: Source, *arguments: str) -> None:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        command, cwd=source.folder, env=source.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
