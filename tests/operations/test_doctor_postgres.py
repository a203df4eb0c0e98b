"""``doctor`` on PostgreSQL reports settings that lose or revive confirmed changes, poolers, and addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from manifest_auth.maintenance.doctor import postgres as doctor
from manifest_auth.runtime.settings import Settings, load
from manifest_auth.store import StoreUnavailable, migrate
from tests.support.matrix import matrix
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Postgres, attached, awaited, database_of
from tests.support.secret_keys import SECRET_KEY, the_keys

pytestmark = pytest.mark.processes

OK = [("ok", "PostgreSQL: its settings are safe for confirmed changes")]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    made = Postgres()
    yield made
    made.stop()


@pytest.fixture(scope="module")
async def direct(server: Postgres) -> str:
    """The address of a database with good settings."""
    url = server.uri(database_of(server.fresh_database()))
    await migrate.upgrade(url, the_keys)
    return url


Pooled = Callable[..., AbstractContextManager[PgBouncer]]


@pytest.fixture(scope="module")
def pooled(server: Postgres) -> Pooled:
    """Create a PgBouncer."""

    @contextmanager
    def pooled(**changed: str) -> Iterator[PgBouncer]:
        pooler = PgBouncer(server.address, **changed)
        yield pooler
        pooler.stop()

    return pooled


def settings(url: str, **given: Any) -> Settings:
    return load({"MANIFEST_DATABASE_URL": url, "MANIFEST_SECRET_KEY": SECRET_KEY, **given})


async def test_a_good_one(direct: str) -> None:
    assert await doctor.postgres_findings(settings(direct)) == OK
    assert await doctor.pooler_findings(settings(direct)) == []


@matrix(
    ("name", "value", "said"),
    [
        ("synchronous_commit", "off", "can be lost"),
        ("synchronous_commit", "local", "can be lost"),
        ("synchronous_commit", "remote_write", None),
        ("statement_timeout", "0", "db upgrade"),
        ("statement_timeout", "61s", "db upgrade"),
        ("statement_timeout", "60s", None),
        ("idle_in_transaction_session_timeout", "900ms", "db upgrade"),
        ("default_transaction_read_only", "on", "read-only"),
    ],
)
async def test_a_setting_of_the_role(server: Postgres, direct: str, name: str, value: str, said: str | None) -> None:
    where = f'ALTER ROLE postgres IN DATABASE "{database_of(direct)}"'
    was = "'15s'" if "timeout" in name else "DEFAULT"
    server.psql(f"{where} SET {name} = '{value}'")
    try:
        found = await doctor.postgres_findings(settings(direct))
    finally:
        server.psql(f"SET default_transaction_read_only = off; {where} SET {name} = {was}")
    assert found == OK if said is None else (len(found) == 1 and found[0][0] == "bad" and said in found[0][1])


async def test_what_the_whole_server_is_set_to(server: Postgres, direct: str) -> None:
    server.psql("ALTER SYSTEM SET fsync = off")
    server.psql("SELECT pg_reload_conf()")
    try:
        [(level, text)] = await doctor.postgres_findings(settings(direct))
    finally:
        server.psql("ALTER SYSTEM RESET fsync")
        server.psql("SELECT pg_reload_conf()")
    assert (level, "fsync" in text) == ("bad", True)


async def test_a_standby_for_which_no_commit_waits(server: Postgres, direct: str) -> None:
    with attached(server):
        [(level, text)] = await doctor.postgres_findings(settings(direct))
        assert (level, "restore sessions" in text) == ("bad", True)
        with awaited(server, "*"):
            assert await doctor.postgres_findings(settings(direct)) == OK


@pytest.mark.endurance
async def test_a_pooler(direct: str, pooled: Pooled) -> None:
    with pooled() as pooler:
        url = pooler.address(database_of(direct))
        assert await doctor.pooler_findings(settings(url)) == []
        [(level, text)] = await doctor.postgres_findings(settings(url))
        assert (level, "MANIFEST_DATABASE_DIRECT_URL" in text) == ("note", True)
        assert await doctor.postgres_findings(settings(url, MANIFEST_DATABASE_DIRECT_URL=direct)) == OK


@pytest.mark.endurance
@matrix(("mode", "is_bad"), [("transaction", True), ("session", False)])
async def test_a_pooler_that_mixes_up_prepared_statements(direct: str, pooled: Pooled, mode: str, is_bad: bool) -> None:
    with pooled(max_prepared_statements="0", pool_mode=mode) as pooler:
        found = await doctor.pooler_findings(settings(pooler.address(database_of(direct))))
    assert bool(found) is is_bad
    if found:
        assert "max_prepared_statements = 512" in found[0][1]


async def test_a_direct_address_of_another_database(server: Postgres, direct: str) -> None:
    elsewhere = server.uri("postgres")
    [(level, text)] = await doctor.postgres_findings(settings(direct, MANIFEST_DATABASE_DIRECT_URL=elsewhere))
    assert (level, "different databases" in text) == ("bad", True)


async def test_addresses_that_do_not_answer(direct: str) -> None:
    nowhere = "postgresql://127.0.0.1:1/none"
    [(level, text)] = await doctor.postgres_findings(settings(direct, MANIFEST_DATABASE_DIRECT_URL=nowhere))
    assert (level, text.startswith("MANIFEST_DATABASE_DIRECT_URL: ")) == ("bad", True)
    with pytest.raises(StoreUnavailable):
        await doctor.postgres_findings(settings(nowhere))
