"""Copies of this repository, each a commit with a release key, and the bundles built from them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from manifest_auth import __version__
from tests.architecture.links import ROOT
from tests.support import run_folder
from tools.bundle import sign
from tools.bundle.lock import CACHE

VERSION, NEXT = __version__, "99.1.0"
UNIT = "deploy/manifest-auth.service"
_ABOUT = "src/manifest_auth/__init__.py"
_WHEN = {f"GIT_{who}_DATE": "2026-01-31T12:00:00Z" for who in ("AUTHOR", "COMMITTER")}
_WHO = ("-c", "user.name=Tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false")
#: Signs this run's releases.
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
#: Another maker's key.
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


class Bundle(NamedTuple):
    """``file`` is signed; ``folder`` is its unpacked content, which must not be changed."""

    file: Path
    folder: Path


def pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def repository(folder: Path, version: str = VERSION) -> Path:
    """A new folder with this repository's files, committed as that version; always the same commit."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "release.keys").write_text(f"# Keys\ntests {sign.public(KEY)}\n")
    with (folder / UNIT).open("a") as unit:
        unit.write(f"# Of {version}\n")  # so that it differs between releases
    about = (folder / _ABOUT).read_text()
    (folder / _ABOUT).write_text(re.sub(r'^(__version__ = )".*"$', rf'\1"{version}"', about, flags=re.MULTILINE))
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A release")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """The output of a Git command in the folder."""
    command = ["git", *_WHO, *arguments]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **_WHEN}, capture_output=True, text=True, check=True)
    return done.stdout


def built(folder: Path, **given: str) -> Path:
    """The bundle that ``./dev bundle`` builds in a copy; ``given`` are environment variables."""
    run(folder, "tools.bundle.build", "dist", "--cache", str(CACHE), **given)
    [file] = (folder / "dist").iterdir()
    return file


def run(folder: Path, module: str, *arguments: str, **given: str) -> str:
    """The output of one of that copy's tools."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder), **given}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def signed(version: str = VERSION) -> Bundle:
    """The bundle of that version, created once per run."""
    place = run_folder.folder() / f"bundle-{version}"
    with run_folder.locked("bundle"):
        if not place.exists():
            making = place.with_name(f"bundle-{version}-making")
            copy = repository(making / "repository", version)
            (making / "key").write_bytes(pem(KEY))
            run(copy, "tools.bundle.sign", str(built(copy)), "--key", str(making / "key"))
            [file] = (copy / "dist").iterdir()
            subprocess.run(["tar", "xf", str(file), "-C", str(making)], check=True)
            making.rename(place)
    [file] = (place / "repository/dist").iterdir()
    return Bundle(file, place / file.stem)
