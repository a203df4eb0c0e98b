"""``python -m tests.store.record DATABASE SCHEMA``: writes the rows of a used SQLite store into ``store_SCHEMA.json``,
from which a test of upgrades makes that store again."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

from tests.store import old_stores

_OTHERS = ("alembic_version", "sqlite_sequence")


def rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables of the product. Raises sqlite3.OperationalError for what is no store."""
    with sqlite3.connect(path) as store:
        store.row_factory = sqlite3.Row
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        names = sorted(set(tables) - set(_OTHERS))
        return {name: [dict(row) for row in store.execute(f'SELECT * FROM "{name}"')] for name in names}


def main(database: str, schema: str) -> None:
    rows = {name: json.loads(old_stores.closed(found)) for name, found in rows_of(Path(database)).items()}
    text = {"about": f"What a store of schema {schema} holds after some use.", "keys": {}, "rows": rows}
    target = Path(__file__).parent / f"store_{schema}.json"
    target.write_text(json.dumps(text, indent=1) + "\n", "utf-8")
    print(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
