"""``python -m tests.store.record``: fills a store of today's schema with the demo data, and writes its rows into
``store_SCHEMA.json``, from which tests of upgrades make that store again once the schema is an earlier one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from manifest_auth.app import build_services, opened
from manifest_auth.operations import demo
from manifest_auth.runtime.settings import load
from manifest_auth.store import migrate
from tests.store import old_stores
from tests.support.application import FAST, PASSWORD
from tests.support.keys import SECRET_KEY

_OTHERS = {"alembic_version", "sqlite_sequence"}


async def _fill(folder: str) -> Path:
    """A store with demo data, sealed by the key that all tests have."""
    given = {**FAST, "MANIFEST_DATA_DIR": folder, "MANIFEST_SECRET_KEY": SECRET_KEY, "MANIFEST_DEMO_PASSWORD": PASSWORD}
    async with opened(build_services(load(given))) as services:
        await demo.fill(services)
        return Path(services.settings.database.removeprefix("sqlite:///"))


def _rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables of the product."""
    with sqlite3.connect(path) as store:
        store.row_factory = sqlite3.Row
        tables = {row["name"] for row in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        names = sorted(tables - _OTHERS)
        return {name: [dict(row) for row in store.execute(f'SELECT * FROM "{name}"')] for name in names}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = _rows(asyncio.run(_fill(folder)))
    text = {
        "about": f"What a store of schema {migrate.HEAD} holds that was filled with the demo data.",
        "keys": {},
        "rows": {name: json.loads(old_stores.closed(found)) for name, found in rows.items()},
    }
    target = Path(__file__).parent / f"store_{migrate.HEAD}.json"
    target.write_text(json.dumps(text, indent=1) + "\n", "utf-8")
    print(target)


if __name__ == "__main__":
    main()
