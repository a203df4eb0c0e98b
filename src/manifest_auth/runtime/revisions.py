"""Database schemas that this release knows, by the names of their revisions."""

from __future__ import annotations

from pathlib import Path

MIGRATIONS = Path(__file__).parents[1] / "store" / "migrations"
#: Name of the module of each revision, by its number.
FILES = {path.name[1:5]: path.stem for path in sorted((MIGRATIONS / "versions").glob("v????_*.py"))}
SCHEMAS = tuple(FILES)
HEAD = SCHEMAS[-1]
