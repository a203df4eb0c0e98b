"""Upgrades the first release's database in a tree that contains the revision from CONTRIBUTING."""

from __future__ import annotations

import asyncio
import tempfile

from sqlalchemy import Connection

from manifest_auth.store import migrate
from tests.releases import listed
from tests.store import old_stores
from tests.store.expand_rules import faults, shape_of


async def main(url: str) -> None:
    old = old_stores.read("0.1.0")
    await old.make(url)
    before = await old_stores.within(url, shape_of)
    found = await old.upgraded_here(url)
    assert await old_stores.within(url, shape_of) != before
    assert faults(before, await old_stores.within(url, shape_of)) == []
    for table in old.rows.keys() - old_stores.CHANGED:
        old.is_as_it_was(table, found[table])
    assert await old_stores.within(url, _nicknames) == {""}


def _nicknames(connection: Connection) -> set[str]:
    return {row.nickname for row in connection.exec_driver_sql("SELECT nickname FROM users")}


if __name__ == "__main__":
    assert (migrate.SCHEMAS[0], migrate.SCHEMAS[-1]) == (listed.FIRST, "0014")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(f"sqlite:///{folder}/test.db"))
