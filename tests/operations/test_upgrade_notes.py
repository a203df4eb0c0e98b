"""The docs' page about upgrades is right.

The new program backs an older store up, upgrades it, and can go back by that backup.
"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from manifest_auth.runtime.files import path_of
from manifest_auth.store import migrate
from tests.architecture import docs_pages
from tests.operations.used_installation import BYTES
from tests.store import old_stores
from tests.support.commands import done, run
from tests.support.secret_keys import SECRET_KEY
from tests.support.stores import schema_number


@pytest.mark.parametrize("name", ["0005", "0005_work"])
async def test_the_way_there_and_the_way_back(name: str, tmp_path: Path) -> None:
    old = old_stores.read(name)
    schema = old.schema
    for row in old.rows.get("files", []):  # the old store came without its files
        row |= {"size": len(BYTES), "sha256": hashlib.sha256(BYTES).hexdigest()}
        path = path_of(tmp_path / "data" / "files", row["key"])
        path.parent.mkdir(parents=True)
        path.write_bytes(BYTES)
    for name in ("data", "back"):
        (tmp_path / name).mkdir(mode=0o700, exist_ok=True)
    url = f"sqlite:///{tmp_path / 'data' / 'manifest-auth.db'}"
    await old.make(url)
    before = _all(tmp_path / "data")
    key = {"MANIFEST_SECRET_KEY": SECRET_KEY}
    assert f" note  schema: {schema}, this release brings {migrate.HEAD}" in run(tmp_path, "doctor", **key).out
    assert f"schema {schema}" in done(tmp_path, "backup", "before.tar", **key)
    assert done(tmp_path, "db", "upgrade", **key) == "The schema was upgraded.\n"
    assert await schema_number(url) == migrate.HEAD
    done(tmp_path, "audit", "verify", **key)
    done(tmp_path, "client", "create", "since-then", **key)

    restored = done(tmp_path, "restore", "before.tar", "--data-dir", "back", **key)
    assert f"schema {schema}" in restored
    back = f"sqlite:///{tmp_path / 'back' / 'manifest-auth.db'}"
    assert await schema_number(back) == schema
    assert _all(tmp_path / "back") == before


def _all(folder: Path) -> list[str]:
    store = sqlite3.connect(folder / "manifest-auth.db")
    try:
        return [line for line in store.iterdump() if "'restored'," not in line]  # what a restore notes itself
    finally:
        store.close()


def test_the_page_tells_of_every_schema() -> None:
    told = docs_pages.text_of("operations/backup.md").partition("## Upgrade")[2].partition("\n## ")[0]
    assert [line[2:6] for line in told.splitlines() if line[:3] == "| 0"] == list(migrate.SCHEMAS)
