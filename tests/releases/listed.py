"""The releases that there are, from ``releases.txt``."""

from __future__ import annotations

from pathlib import Path

#: The schema of the first release whose nodes are replaced one by one.
FIRST = "0010"


def schemas() -> list[str]:
    """Those that releases brought, oldest first."""
    lines = (Path(__file__).parent / "releases.txt").read_text("utf-8").splitlines()
    return sorted({FIRST, *(line.split()[2] for line in lines if line and line[0] != "#")})


def before(schema: str) -> str:
    """The schema of the newest release that does not have this one."""
    return max(released for released in schemas() if released < schema)
