"""PostgreSQL's plan for selecting a decoy hash, which every sign-in of a client with many accounts uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from manifest_auth.sign_in import password
from manifest_auth.store import Store
from manifest_auth.throttle import throttle
from tests.store.conftest import Pair
from tests.support.stores import ONLY_POSTGRESQL

COUNT = 20_000
pytestmark = ONLY_POSTGRESQL  # SQLite doesn't keep statistics automatically


@pytest.fixture
async def raw(store: Store, database_url: str, pair: Pair) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A transaction in which the client has many accounts and the statement is prepared as ``pick``."""
    connection = await asyncpg.connect(database_url, statement_cache_size=0)
    await connection.execute("BEGIN")
    await connection.execute(
        "INSERT INTO users (tenant_id, email, email_key, first_name, last_name, title, roles, password_hash, "
        f"created_at) SELECT {pair[0]}, n, n, '', '', '', 1, 'a hash', 1 FROM generate_series(1, {COUNT}) n"
    )
    await connection.execute(f"PREPARE pick AS {password._PICK.postgres.sql}")
    yield connection
    await connection.close()


@pytest.fixture
def asked(pair: Pair) -> str:
    """The statement with its values."""
    given = {"places": password.places(2**40 - 7), "_tenant": pair[0], **throttle.looked_for(1, "d", "192.0.2.1")}
    values = password._PICK.postgres.values(given)
    return f"EXECUTE pick ({', '.join(repr(value) for value in values)})"


async def test_accounts_that_were_just_imported_are_not_all_read(raw: asyncpg.Connection[Any], asked: str) -> None:
    plan = "\n".join(row[0] for row in await raw.fetch(f"EXPLAIN {asked}"))
    assert "pk_users" in plan
    assert "Sort" not in plan
    assert "Bitmap" not in plan


async def test_it_is_not_planned_again_at_every_sign_in(raw: asyncpg.Connection[Any], asked: str) -> None:
    await raw.execute("ANALYZE users")
    for _ in range(8):  # the first five always use a custom plan
        await raw.execute(asked)
    assert await raw.fetchval("SELECT generic_plans FROM pg_prepared_statements WHERE name = 'pick'") == 3
