"""Builds the wheel and the source archive of the last commit. Both include the docs as a site.

``python -m tools.package [FOLDER]`` writes them to FOLDER. The same commit gives the same bytes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tools.bundle import source
from tools.bundle.lock import ROOT


def build(repository: Path, output: Path) -> list[Path]:
    """Builds both files in the folder ``output``, and returns them."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        made = source.taken(repository, Path(place) / "source")
        wheel = source.built(made, output.resolve(), Path(place) / "docs")
        return [wheel, source.archived(made, output.resolve())]


if __name__ == "__main__":
    for file in build(ROOT, Path((*sys.argv[1:], "dist")[0])):
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
