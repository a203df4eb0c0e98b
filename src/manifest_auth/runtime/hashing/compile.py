"""``python -m manifest_auth.runtime.hashing.compile``: creates an Argon2 build for this processor.

The wheel from PyPI is made for any x86-64 and does not use wide registers; the same source compiled here computes about
twice as many hashes a second. Compilers and their tuning differ by a tenth, in favor of one or the other depending on
the processor. So this tries each compiler that is installed in two ways, and keeps the fastest build. It needs a C
compiler and Python's headers; with ``--zig`` a compiler comes from PyPI (400 MB, deleted afterward). Without either the
server uses the wheel. Takes about ten seconds.
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
        compilers = _compilers(Path(folder), with_zig=given.zig)
        if not compilers:
            return _print("no C compiler found; the wheel is still used", 1)
        made = Path(folder) / "made"
        made.mkdir()
        for compiler in compilers:
            for flags in (f"-march={given.march}", f"-march={given.march} -mtune=generic"):
                name = f"{Path(compiler.split()[0]).name} {flags}"
                _print(f"building {PACKAGE}: {name} …", 0)
                _build(made / name, compiler, flags)
        if not list(made.glob("*/_argon2_cffi_bindings")):
            return _print("no build succeeded; nothing was changed", 1)
        shutil.rmtree(builds.BUILT, ignore_errors=True)
        builds.BUILT.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, builds.BUILT)
    chosen = builds.choose()
    for slower in {build.name for build in builds.candidates()} - {chosen.name, builds.WHEEL}:
        shutil.rmtree(builds.BUILT / slower)
    if chosen.name == builds.WHEEL:
        return _print("no build works; the wheel is still used", 1)
    return _print(f"used from the next start: {chosen.name}", 0)


def _compilers(folder: Path, *, with_zig: bool) -> list[str]:
    """The commands of the C compilers to try."""
    if os.environ.get("CC"):
        return [os.environ["CC"]]
    found = [name for name in ("gcc", "clang") if shutil.which(name)]
    if not found and shutil.which("cc"):
        found = ["cc"]
    if not found and with_zig:
        zig = folder / "zig"
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(zig), "ziglang"]
        if subprocess.run(command, check=False).returncode == 0:  # noqa: S603 - fixed command
            found = [f"{zig / 'ziglang' / 'zig'} cc"]
    return found


def _build(target: Path, compiler: str, flags: str) -> None:
    """Builds the package into the folder, which is left without it if the build fails."""
    # No cache, because pip would offer a wheel that was built with other flags. No dependencies, because cffi is
    # already installed.
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-cache-dir", "--no-deps", "--target", str(target)]
    command += ["--no-binary", PACKAGE, f"{PACKAGE}=={version(PACKAGE)}"]
    environment = {**os.environ, "CC": compiler, "CFLAGS": f"-O3 {flags}"}
    subprocess.run(command, env=environment, check=False)  # noqa: S603 - fixed command


def _print(text: str, status: int) -> int:
    sys.stderr.write(f"argon2: {text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
