"""Choice of the Argon2 build: the fastest that is installed and computes the right tag.

There can be two: the wheel that pip installs, for any x86-64, and a build that :mod:`.compile` created for this
processor in its own folder. Each is tried in its own process, since a build for another processor crashes with an
illegal instruction.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from manifest_auth.runtime.hashing.worker import HEADER

#: Folder of the build for this processor, inside the Python environment.
FAST = Path(sys.prefix) / "lib" / "manifest-auth" / "argon2"
_WORKER = Path(__file__).with_name("worker.py")
# Known answer for password "password", salt "somesalt", 64 KiB, 2 passes, 1 lane, version 0x13.
_JOB = HEADER.pack(64, 2, 1, 32, 8) + b"somesalt" + b"password"
_TAG = "16a1a498734609dd01456da406de9f3d9da93e6c86c300a12fc1465214ce4922"

#: Folders and files of builds that have computed the known answer, with the times of the files.
_working: set[tuple[tuple[str, int], ...]] = set()


class Build(NamedTuple):
    name: str
    folders: list[str]


def candidates() -> list[Build]:
    """Lists the installed builds, fastest first."""
    found = []
    standard = _folder_of("_argon2_cffi_bindings")
    cffi = _folder_of("_cffi_backend")
    if (FAST / "_argon2_cffi_bindings").is_dir():
        found.append(Build("built for this processor", [str(FAST), cffi]))
    found.append(Build("wheel", [standard, cffi]))
    return found


def works(build: Build) -> bool:
    """Whether the build computes the known answer. The check takes about 50 ms. A build that passed isn't checked again
    in this process while its files are unchanged."""
    files = tuple((folder, 0) for folder in build.folders)
    files += tuple((str(file), file.stat().st_mtime_ns) for folder in build.folders for file in _libraries(folder))
    if files not in _working and _computes(build):
        _working.add(files)
    return files in _working


def _libraries(folder: str) -> list[Path]:
    return sorted([*Path(folder).glob("_cffi_backend*"), *Path(folder).glob("_argon2_cffi_bindings/*.*")])


def _computes(build: Build) -> bool:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(5)
    command = [sys.executable, "-I", "-S", str(_WORKER), "0", "64", *build.folders]
    with ours, theirs:
        process = subprocess.Popen(  # noqa: S603 - fixed command
            command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        theirs.close()
        try:
            ours.send(_JOB)
            return ours.recv(64).hex() == _TAG
        except OSError:
            return False
        finally:
            process.kill()
            process.wait()


def choose() -> Build:
    """Returns the fastest build that works. Raises RuntimeError if none does."""
    for build in candidates():
        if works(build):
            return build
    raise RuntimeError("no working Argon2 build is installed")


def _folder_of(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{module} is not installed")
    origin = Path(spec.origin)
    return str(origin.parent.parent if origin.name == "__init__.py" else origin.parent)
