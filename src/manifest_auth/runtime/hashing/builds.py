"""Choice of the Argon2 build: the fastest that is installed and computes the right tag.

Besides the wheel that pip installs, for any x86-64, there can be faster builds, each in a subfolder of ``BUILT``: those
of a bundle, or the one that :mod:`.compile` created for this processor. Each is tried in its own process, since a build
for another processor crashes with an illegal instruction.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from manifest_auth.runtime.hashing.worker import HEADER

#: Folder of the builds that need newer processors, inside the Python environment.
BUILT = Path(sys.prefix) / "lib" / "manifest-auth" / "argon2"
WHEEL = "wheel"
_WORKER = Path(__file__).with_name("worker.py")
# Known answer for password "password", salt "somesalt", 64 KiB, 2 passes, 1 lane, version 0x13.
_JOB = HEADER.pack(64, 2, 1, 32, 8) + b"somesalt" + b"password"
_TAG = "16a1a498734609dd01456da406de9f3d9da93e6c86c300a12fc1465214ce4922"

# A hash of the usual size, to compare the speed of builds.
_BUFFER_KIB = 19456
_TRIAL = HEADER.pack(_BUFFER_KIB, 2, 1, 32, 8) + b"somesalt" + b"password"
_TRIALS = 3

#: Builds that have computed the known answer, by their folders and files with the times of the files.
_working: set[tuple[tuple[str, int], ...]] = set()


class Build(NamedTuple):
    name: str
    folders: tuple[str, ...]


def candidates() -> list[Build]:
    """Lists the installed builds, the wheel last. The folder of cffi has the wheel too, so workers of a running server
    start even after another build has replaced theirs."""
    cffi = _folder_of("_cffi_backend")
    places = sorted(place.parent for place in BUILT.glob("*/_argon2_cffi_bindings"))
    built = [Build(place.name, (str(place), cffi)) for place in places]
    return [*built, Build(WHEEL, (_folder_of("_argon2_cffi_bindings"), cffi))]


def works(build: Build) -> bool:
    """Whether the build computes the known answer. The check takes about 50 ms. A build that passed isn't checked again
    in this process while its files are unchanged."""
    files = tuple((folder, 0) for folder in build.folders)
    files += tuple((str(file), file.stat().st_mtime_ns) for folder in build.folders for file in _libraries(folder))
    if files not in _working and _try(build) is not None:
        _working.add(files)
    return files in _working


def _libraries(folder: str) -> list[Path]:
    return sorted([*Path(folder).glob("_cffi_backend*"), *Path(folder).glob("_argon2_cffi_bindings/*.*")])


def _try(build: Build, trials: int = 0) -> float | None:
    """The shortest time of so many hashes, in seconds, or None if the build doesn't compute the known answer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(5)
    command = [sys.executable, "-I", "-S", str(_WORKER), "0", str(_BUFFER_KIB), *build.folders]
    with ours, theirs:
        process = subprocess.Popen(  # noqa: S603 - fixed command
            command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        theirs.close()
        try:
            ours.send(_JOB)
            if ours.recv(64).hex() != _TAG:
                return None
            taken = []
            for _ in range(trials):
                began = time.perf_counter()
                ours.send(_TRIAL)
                if len(ours.recv(64)) != len(_TAG) // 2:
                    return None
                taken.append(time.perf_counter() - began)
            return min(taken, default=0.0)
        except OSError:
            return None
        finally:
            process.kill()
            process.wait()


def choose() -> Build:
    """Returns the fastest build that works; the wheel only if no other does. Raises RuntimeError if none does."""
    *built, wheel = candidates()
    if len(built) > 1:
        taken = {build: seconds for build in built if (seconds := _try(build, _TRIALS)) is not None}
        built = sorted(taken, key=taken.__getitem__)
    for build in (*built, wheel):
        if works(build):
            return build
    raise RuntimeError("no working Argon2 build is installed")


def _folder_of(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{module} is not installed")
    origin = Path(spec.origin)
    return str(origin.parent.parent if origin.name == "__init__.py" else origin.parent)
