"""Compiles Argon2 for the processors of the last ten years, from the locked source of the wheel.

There is a build for x86-64-v3 (AVX2) and one for x86-64-v4 (AVX-512). When it starts, the server uses the faster one of
those that run, or else the wheel. Compiling needs a C compiler and Python's headers. The same compiler produces the
same bytes.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import tarfile
import tempfile
from pathlib import Path

_PACKAGE = "_argon2_cffi_bindings"
_SOURCES = (f"src/{_PACKAGE}/_ffi.c", *(f"extras/libargon2/src/{name}.c" for name in
            ("argon2", "core", "encoding", "opt", "thread", "blake2/blake2b")))  # fmt: skip
_PROCESSORS = ("x86-64-v3", "x86-64-v4")
_FLAGS = ("-O3", "-DNDEBUG", "-DPy_LIMITED_API=0x030A0000", "-fPIC", "-pthread", "-shared", "-s",
          "-Wl,--build-id=none", "-Wl,-z,relro,-z,now")  # fmt: skip


def compiler() -> str:
    """The compiler's name and version. Raises OSError if there is none."""
    told = subprocess.run([_cc(), "--version"], capture_output=True, text=True, check=True).stdout
    return told.partition("\n")[0]


def compile_into(folder: Path, archive: Path) -> None:
    """Builds the package from its source archive, and puts it into a subfolder for each kind of processor. Raises
    CalledProcessError."""
    with tempfile.TemporaryDirectory() as place, tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
        [source] = Path(place).iterdir()
        package_text = (source / "src" / _PACKAGE / "__init__.py").read_text("utf-8")
        includes = ["-Iextras/libargon2/include", f"-I{sysconfig.get_path('include')}"]
        for processor in _PROCESSORS:
            package = folder.resolve() / processor / _PACKAGE
            package.mkdir(parents=True)
            command = [_cc(), f"-march={processor}", *_FLAGS, *includes, *_SOURCES, "-o", str(package / "_ffi.abi3.so")]
            subprocess.run(command, cwd=source, check=True)
            (package / "__init__.py").write_text(package_text, "utf-8")


def _cc() -> str:
    return os.environ.get("CC", "gcc")
