"""``python -m bench.upgrade [--users COUNT] [--schema NUMBER]``: fills a store of an older schema and upgrades it.

Each user has two sessions, and half of the users belong to one client. ``MANIFEST_DATABASE_URL`` names an empty store.
The current schema is upgraded to the one in ``tests/releases/next_release.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text

from manifest_auth.cli.command import Progress
from manifest_auth.store import migrate
from tests.releases import next_release
from tests.store import old_stores
from tests.support.secret_keys import the_keys

CLIENTS = 100
_NOW = 1_790_000_000_000
#: SQL for a random, unique text of 64 characters, by store.
_RANDOM = {"sqlite": "hex(randomblob(32))", "postgresql": "md5(random()::text) || md5(random()::text)"}


def _fill(connection: Connection, schema: str, users: int) -> None:
    command.upgrade(old_stores.alembic(connection), schema)
    random = _RANDOM[connection.dialect.name]
    client = f"CASE WHEN n % 2 = 0 THEN 1 ELSE 1 + n % {CLIENTS} END"
    tables = {
        "tenants (id, identifier, name, settings, created_at)": (
            CLIENTS,
            f"n, 'client-' || n, 'Client', '{{}}', {_NOW}",
        ),
        "users (id, tenant_id, email, email_key, first_name, last_name, title, roles, password_hash, created_at)": (
            users,
            f"n, {client}, 'user' || n || '@bench.example', 'user' || n || '@bench.example', 'Ann', "
            f"'Smith ' || n % 99991, '', 1, '$argon2id$' || {random}, {_NOW} + n",
        ),
        "sessions (id, tenant_id, user_id, method, created_at, ends_at, last_used_at, address, user_agent, "
        "cookie_hash, cookie_seen_at, refresh_current, refresh_changed_at)": (
            2 * users,
            f"substr({random}, 1, 22), (SELECT tenant_id FROM users WHERE id = 1 + n % {users}), 1 + n % {users}, "
            f"'password', {_NOW} + n, {_NOW} + n + 86400000, {_NOW} + n, '192.0.2.1', "
            f"'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', {random}, {_NOW}, {random}, "
            f"{_NOW}",
        ),
        "known_origins (user_id, origin, tenant_id, seen_at)": (users, f"n, {random}, {client}, {_NOW}"),
    }
    for table, (count, values) in tables.items():
        numbers = f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
        connection.execute(text(f"INSERT INTO {table} {numbers} SELECT {values} FROM numbers"))
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT setval(pg_get_serial_sequence('users', 'id'), {users})"))


async def main(given: argparse.Namespace) -> float:
    """Runs the upgrade. Returns the seconds it took."""
    url = os.environ["MANIFEST_DATABASE_URL"]
    await old_stores.within(url, lambda connection: _fill(connection, given.schema, given.users))
    if given.schema == migrate.HEAD:
        next_release.learn(Path(tempfile.mkdtemp()), pytest.MonkeyPatch())
    began = time.monotonic()
    with Progress() as progress:
        await migrate.upgrade(url, the_keys, progress)
    return time.monotonic() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--schema", default=migrate.HEAD)
    took = asyncio.run(main(parser.parse_args()))
    print(f"upgraded to {migrate.HEAD} in {took:.1f} s")
