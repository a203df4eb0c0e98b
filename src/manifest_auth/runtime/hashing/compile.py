"""``python -m manifest_auth.runtime.hashing.compile``: creates an Argon2 build for this processor.

The wheel from PyPI is made for any x86-64 and does not use wide registers; the same source compiled here computes about
twice as many hashes a second. It needs a C compiler and Python's headers; with ``--zig`` a compiler comes from PyPI
(400 MB, deleted afterward). Without either the server uses the wheel. Takes about five seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from manifest_auth.runtime.hashing import builds

PACKAGE = "argon2-cffi-bindings"


def main() -> int:
    """Exit status 0: the fast build is installed. 1: the build failed, and the wheel stays in use."""
    parser = argparse.ArgumentParser(prog="python -m manifest_auth.runtime.hashing.compile", description=__doc__)
    parser.add_argument("--march", default="native", help="processor to build for (default: this one)")
    parser.add_argument("--zig", action="store_true", help="if there is no C compiler, use ziglang from PyPI")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compiler = _compiler(Path(folder), with_zig=given.zig)
        if compiler is None:
            return _print("no C compiler found; the wheel is still used", 1)
        made = Path(folder) / "made"
        _print(f"building {PACKAGE} for {given.march} …", 0)
        if not _build(made, compiler, given.march):
            return _print("the build failed; the wheel is still used", 1)
        shutil.rmtree(builds.FAST, ignore_errors=True)
        builds.FAST.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, builds.FAST)
    chosen = builds.choose()
    return _print(f"used from the next start: {chosen.name}", 0 if chosen.folders[0] == str(builds.FAST) else 1)


def _compiler(folder: Path, *, with_zig: bool) -> str | None:
    if os.environ.get("CC"):
        return os.environ["CC"]
    for name in ("gcc", "clang", "cc"):
        if shutil.which(name):
            return name
    if not with_zig:
        return None
    zig = folder / "zig"
    done = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-m", "pip", "install", "-q", "--target", str(zig), "ziglang"], check=False
    )
    return f"{zig / 'ziglang' / 'zig'} cc" if done.returncode == 0 else None


def _build(target: Path, compiler: str, march: str) -> bool:
    # No cache, because pip would offer a wheel that was built with other flags. No dependencies, because cffi is
    # already installed.
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-cache-dir", "--no-deps", "--target", str(target)]
    command += ["--no-binary", PACKAGE, f"{PACKAGE}=={version(PACKAGE)}"]
    environment = {**os.environ, "CC": compiler, "CFLAGS": f"-O3 -march={march}"}
    return subprocess.run(command, env=environment, check=False).returncode == 0  # noqa: S603 - fixed command


def _print(text: str, status: int) -> int:
    sys.stderr.write(f"argon2: {text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
