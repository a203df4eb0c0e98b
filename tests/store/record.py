"""``python -m tests.store.record``: a used store of today's schema, in ``store_SCHEMA.json`` for tests of upgrades."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from manifest_auth.store import migrate
from tests.store import old_stores
from tests.support.application import running

_OTHERS = {"alembic_version", "sqlite_sequence"}


async def _fill(path: Path) -> None:
    async with running(f"sqlite:///{path}") as app:
        signed_in = await app.sign_in()
        assert signed_in.status == 200
        await app.sign_in(password="a wrong one")


def _rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables of the product."""
    with sqlite3.connect(path) as store:
        store.row_factory = sqlite3.Row
        tables = {row["name"] for row in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        names = sorted(tables - _OTHERS)
        return {name: [dict(row) for row in store.execute(f'SELECT * FROM "{name}"')] for name in names}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        asyncio.run(_fill(path))
        rows = _rows(path)
    text = {
        "about": f"What a store of schema {migrate.HEAD} holds that tests filled.",
        "keys": {},
        "rows": {name: json.loads(old_stores.closed(found)) for name, found in rows.items()},
    }
    target = Path(__file__).parent / f"store_{migrate.HEAD}.json"
    target.write_text(json.dumps(text, indent=1) + "\n", "utf-8")
    print(target)


if __name__ == "__main__":
    main()
