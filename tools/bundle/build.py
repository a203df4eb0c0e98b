"""Builds the bundle of the last commit: one file with everything that an installation without a network needs.

``python -m tools.bundle.build [FOLDER]`` writes ``manifest-auth-VERSION-linux-x86_64.tar`` to FOLDER. The same commit
gives the same bytes on every machine with the same C compiler. Third-party files come from ``.work/bundle`` or, if
missing, from pip's index, and must match ``bundle.lock``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.bundle import archive, argon2, licences, lock, parts, source

#: Repository files that the bundle includes, with their names in the bundle.
_TAKEN = {
    "tools/bundle/install": "install",
    "deploy": "deploy",
    "constraints.txt": "constraints.txt",
    "release.keys": "release.keys",
    "CHANGELOG.md": "CHANGELOG.md",
    "LICENSE": "LICENSE",
}


def build(repository: Path, output: Path, cache: Path = lock.CACHE, pythons: Sequence[str] = lock.PYTHONS) -> Path:
    """Builds the bundle in the folder ``output``. Returns its file. Raises LockError and LicenceRefused."""
    with tempfile.TemporaryDirectory() as place:
        made = source.taken(repository, Path(place) / "source")
        folder = Path(place) / made.name
        _fill(folder, made, cache, pythons)
        (folder / archive.SUMS).write_text(archive.sums(folder), "utf-8")
        output.mkdir(parents=True, exist_ok=True)
        archive.pack(folder, output / f"{made.name}.tar", made.at)
    return output / f"{made.name}.tar"


def _fill(folder: Path, made: source.Source, cache: Path, pythons: Sequence[str]) -> None:
    locked = lock.read(made.folder / "bundle.lock")
    wanted = sorted({each for python in pythons for each in lock.for_python(locked, python)})
    sources = [each for each in locked if not each.is_wheel]
    files = lock.fetched([*wanted, *sources], cache)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    for each in wanted:
        shutil.copyfile(files[each.file], wheels / each.file)
    own = source.built(made, wheels, folder / "docs")
    argon2.compile_into(folder / "argon2", files[sources[0].file])
    for place, name in _TAKEN.items():
        copy = shutil.copytree if (made.folder / place).is_dir() else shutil.copyfile
        copy(made.folder / place, folder / name)
    (folder / "requirements.txt").write_text(_requirements(made, own, wanted), "utf-8")
    for wheel in sorted(wheels.iterdir()):
        licences.copy_texts(wheel, folder / "LICENSES")
    listed = parts.document("manifest-auth", made.version, made.commit, made.at, wheels.iterdir())
    (folder / "sbom.cdx.json").write_text(listed, "utf-8")
    about = {"version": made.version, "commit": made.commit, "schema": made.schema, "time": made.at,
             "pythons": list(pythons), "compiler": argon2.compiler()}  # fmt: skip
    (folder / "release.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")


def _requirements(made: source.Source, own: Path, wanted: list[lock.Locked]) -> str:
    """The packages to install, each with the hashes of its files. Includes all extras of the product except ``dev``."""
    project = tomllib.loads((made.folder / "pyproject.toml").read_text("utf-8"))["project"]
    extras = ",".join(sorted(set(project["optional-dependencies"]) - {"dev"}))
    [digest] = [line.split()[0] for line in archive.sums(own.parent).splitlines() if line.endswith(f"  {own.name}")]
    hashes: dict[str, list[str]] = {f"manifest-auth[{extras}]=={made.version}": [digest]}
    for each in wanted:
        if each.name != lock.INSTALLER:
            hashes.setdefault(f"{each.name}=={each.version}", []).append(each.sha256)
    lines = (" \\\n    ".join([name, *(f"--hash=sha256:{each}" for each in found)]) for name, found in hashes.items())
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./dev bundle", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("dist"), help="where the bundle goes (default: dist)"
    )
    parser.add_argument(
        "--python",
        nargs="+",
        default=lock.PYTHONS,
        choices=lock.PYTHONS,
        metavar="3.X",
        help="versions that it installs on (default: all)",
    )
    parser.add_argument("--cache", type=Path, default=lock.CACHE, help="where files of others are kept")
    given = parser.parse_args(arguments)
    try:
        file = build(lock.ROOT, given.folder, given.cache, given.python)
    except (lock.LockError, licences.LicenceRefused, OSError, subprocess.CalledProcessError) as refused:
        print(f"dev bundle: {refused}", file=sys.stderr)
        return 1
    print(f"{file}: {file.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
