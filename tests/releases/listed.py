"""The existing releases, from ``releases.txt``."""

from __future__ import annotations

from pathlib import Path

#: The schema of the first release, 0.1.0.
FIRST = "0012"


def lines() -> list[list[str]]:
    """Version, commit, and schema of each release, oldest first."""
    text = (Path(__file__).parent / "releases.txt").read_text("utf-8")
    return [line.split() for line in text.splitlines() if line and line[0] != "#"]


def schemas() -> list[str]:
    """The schemas that releases introduced, oldest first."""
    return sorted({FIRST, *(schema for _, _, schema in lines())})


def before(schema: str) -> str:
    """The schema of the newest release with a different one."""
    return max(released for released in schemas() if released < schema)
