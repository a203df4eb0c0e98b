"""The docs page about upgrades is correct.

The new program backs up an older database, upgrades it, and can go back with that backup.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from manifest_auth.store import migrate
from tests.architecture import docs_pages
from tests.architecture.links import ROOT
from tests.releases import next_release
from tests.store import old_stores
from tests.support.commands import done, run
from tests.support.secret_keys import SECRET_KEY
from tests.support.stores import schema_number
from tools.bundle import release


@pytest.mark.processes
@pytest.mark.parametrize("version", old_stores.STORES)
async def test_the_way_there_and_the_way_back(version: str, tmp_path: Path) -> None:
    old = old_stores.read(version)
    for name in ("data", "back"):
        (tmp_path / name).mkdir(mode=0o700)
    url = f"sqlite:///{tmp_path / 'data' / 'manifest-auth.db'}"
    await old.make(url)
    before = _all(tmp_path / "data")
    program = {"MANIFEST_SECRET_KEY": SECRET_KEY, **next_release.runs_it(tmp_path)}
    brings = f" note  schema: {old.schema}, this version upgrades it to {next_release.SCHEMA}"
    assert brings in run(tmp_path, "doctor", **program).out
    assert f"schema {old.schema}" in done(tmp_path, "backup", "before.tar", **program)
    assert done(tmp_path, "db", "upgrade", **program) == "The schema was upgraded.\n"
    assert await schema_number(url) == next_release.SCHEMA
    done(tmp_path, "audit", "verify", **program)
    done(tmp_path, "client", "create", "since-then", **program)

    restored = done(tmp_path, "restore", "before.tar", "--data-dir", "back", **program)
    assert f"schema {old.schema}" in restored
    back = f"sqlite:///{tmp_path / 'back' / 'manifest-auth.db'}"
    assert await schema_number(back) == old.schema
    assert _all(tmp_path / "back") == before


def _all(folder: Path) -> list[str]:
    store = sqlite3.connect(folder / "manifest-auth.db")
    try:
        return [line for line in store.iterdump() if "'restored'," not in line]  # the restore's own record
    finally:
        store.close()


def test_the_page_tells_of_every_schema() -> None:
    told = docs_pages.text_of("operations/backup.md").partition("## Upgrade")[2].partition("\n## ")[0]
    assert [line[2:6] for line in told.splitlines() if line[:3] == "| 0"] == list(migrate.SCHEMAS)


def test_the_changelog_says_of_every_release_how_to_upgrade_and_to_go_back() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert [told for version in old_stores.STORES for told in release.changelog_refuses(text, version)] == []
    assert text.partition("\n## ")[2].startswith("[Unreleased]\n\n")
