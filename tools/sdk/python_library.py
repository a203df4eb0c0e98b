"""Builds the Python library: ``python_library.py FOLDER`` puts a wheel and a source archive there.

The same source tree gives the same bytes on every machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "sdk" / "python"
_LONG_AGO = "1577836800"  # the time of every file in the archives, seconds since 1970


def build(folder: Path) -> None:
    """Puts ``manifest_auth_client-*.whl`` and ``.tar.gz`` into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder.resolve())]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _LONG_AGO}
    done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
