"""Compiles Argon2 for x86-64-v3, the processors of the last ten years, from the locked source of the wheel.

The server tries this build when it starts, and falls back to the wheel if it doesn't run. Compiling needs a C compiler
and Python's headers. The same compiler produces the same bytes.
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
_FLAGS = ("-O3", "-march=x86-64-v3", "-DNDEBUG", "-DPy_LIMITED_API=0x030A0000", "-fPIC", "-pthread", "-shared", "-s",
          "-Wl,--build-id=none", "-Wl,-z,relro,-z,now")  # fmt: skip


def compiler() -> str:
    """The compiler's name and version. Raises OSError if there is none."""
    told = subprocess.run([_cc(), "--version"], capture_output=True, text=True, check=True).stdout
    return told.partition("\n")[0]


def compile_into(folder: Path, archive: Path) -> None:
    """Builds the package from its source archive, and puts it into the folder. Raises CalledProcessError."""
    package = folder / _PACKAGE
    package.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place, tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
        [source] = Path(place).iterdir()
        includes = ["-Iextras/libargon2/include", f"-I{sysconfig.get_path('include')}"]
        output = package.resolve() / "_ffi.abi3.so"
        subprocess.run([_cc(), *_FLAGS, *includes, *_SOURCES, "-o", str(output)], cwd=source, check=True)
        (package / "__init__.py").write_text((source / "src" / _PACKAGE / "__init__.py").read_text("utf-8"), "utf-8")


def _cc() -> str:
    return os.environ.get("CC", "gcc")
