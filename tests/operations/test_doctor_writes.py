"""``doctor``, the log, and ``/readyz`` report a read-only database, and files that other nodes don't see."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from manifest_auth.maintenance import files_place
from tests.faults import disk
from tests.processes.test_operability import ask, sign_in, told
from tests.support.application import running
from tests.support.commands import done, run, until
from tests.support.postgres import Databases, Postgres, database_of
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import Server, served

READY = {"status": "ready"}
WARNS = {
    **READY,
    "warnings": ["The database rejects writes, so nobody can sign in; see the log, and run manifest-auth doctor"],
}
#: The checks tested here; the tests' servers aren't configured for the others.
TOPICS = ("permissions: ", "writes: ", "files: ", "disk: PostgreSQL ", "database: ")
NEVER = {"MANIFEST_DATABASE_UPGRADE": "never"}


def readiness(server: Server) -> Any:
    answer = ask(server.port, "/readyz")
    assert answer.status == 200
    return answer.json["data"]


def bad(folder: Path, **settings: str) -> list[str]:
    """The bad findings of these checks."""
    result = run(folder, "doctor", **settings)
    assert result.err == ""
    found = [line.removeprefix(" BAD   ") for line in result.out.splitlines() if line.startswith(" BAD")]
    assert result.status == (1 if found else 0)
    return [text for text in found if text.startswith(TOPICS)]


@contextmanager
def by_role(server: Databases) -> Iterator[str]:
    """The address of a database for a role that owns nothing in it."""
    url = server.uri(database_of(server.fresh_database()))
    parts, name = urlsplit(url), f"plain_{database_of(url)}"
    server.psql(f"CREATE ROLE {name} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}", url)
    yield urlunsplit(parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}"))
    server.psql(f"DROP OWNED BY {name}; DROP ROLE {name}", url)


def test_a_missing_right_is_named_and_told_once(postgres: Databases, tmp_path: Path) -> None:
    with by_role(postgres) as url:
        own, role = postgres.uri(database_of(url)), f"plain_{database_of(url)}"
        settings = {"MANIFEST_SECRET_KEY": SECRET_KEY, **NEVER}
        with served(tmp_path, url, MANIFEST_LOG_LEVEL="warning", **settings) as server:
            assert sign_in(server).status == 200
            assert (readiness(server), told(server)) == (READY, [])
            assert bad(tmp_path, MANIFEST_DATABASE_URL=url, **settings) == []
            postgres.psql(f"REVOKE INSERT ON sessions FROM {role}", own)
            for _ in range(3):
                assert (sign_in(server).status, readiness(server)) == (503, WARNS)
            [finding] = bad(tmp_path, MANIFEST_DATABASE_URL=url, **settings)
            assert finding.startswith(f"permissions: {role} is missing INSERT on sessions; as the owner")
            postgres.psql(f"REVOKE ALL ON badge_pins, users FROM {role}", own)
            findings = bad(tmp_path, MANIFEST_DATABASE_URL=url, **settings)
            assert "DELETE on badge_pins" in findings[0]
            assert "SELECT on users" in findings[0]
            postgres.psql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}", own)
            assert (sign_in(server).status, readiness(server)) == (200, READY)
            assert told(server) == [("error", "store_lost"), ("warning", "store_back")]
            assert bad(tmp_path, MANIFEST_DATABASE_URL=url, **settings) == []


@pytest.mark.processes
@pytest.mark.endurance
def test_a_postgresql_that_is_full_is_named(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="manifest-auth-full-") as place, disk.mounted(Path(place), 64) as small:
        server, tables = Postgres(), Path(place) / "tables"
        try:
            tables.mkdir()
            os.chown(tables, server.data.stat().st_uid, -1)  # PostgreSQL runs as another user
            Path(place).chmod(0o755)
            database = server.fresh_database()
            server.psql(f"CREATE TABLESPACE small LOCATION '{tables}'")
            server.psql(f'ALTER DATABASE "{database_of(database)}" SET TABLESPACE small')
            settings = {"MANIFEST_SECRET_KEY": SECRET_KEY, "MANIFEST_DATABASE_URL": database}
            with served(tmp_path, database, MANIFEST_LOG_LEVEL="warning", MANIFEST_SECRET_KEY=SECRET_KEY) as node:
                assert bad(tmp_path, **settings) == []
                small.fill()
                until(lambda: sign_in(node).status == 503)
                assert readiness(node) == WARNS
                assert bad(tmp_path, **settings)[0].startswith("disk: PostgreSQL can't extend tables")
                small.make_space()
                until(lambda: sign_in(node).status == 200)
                assert readiness(node) == READY
                assert bad(tmp_path, **settings) == []
                assert told(node)[0] == ("error", "store_lost")
        finally:
            server.stop()


async def kept_by_a_server(url: str, place: Path) -> None:
    """Write what a server writes some seconds after its start."""
    async with running(url, MANIFEST_FILES=str(place), MANIFEST_LOG_LEVEL="warning") as app:
        await files_place.keep(app.services.store, app.services.files, app.services.log)


async def test_files_that_another_node_does_not_see_are_found(
    postgres: Databases, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both nodes run on one machine, each with a separate folder, as if a share weren't mounted."""
    url, places = postgres.fresh_database(), [tmp_path / name for name in ("first", "second")]

    def said(place: Path) -> list[str]:
        given = {"MANIFEST_DATABASE_URL": url, "MANIFEST_SECRET_KEY": SECRET_KEY, "MANIFEST_FILES": str(place)}
        return bad(tmp_path, **given)

    for place in places:
        place.mkdir(mode=0o700)
    assert said(places[1]) == []  # no server has run, and a command decides nothing
    for _ in range(2):
        await kept_by_a_server(url, places[0])
    assert (said(places[0]), "files_" in capfd.readouterr().err) == ([], False)
    await kept_by_a_server(url, places[1])
    assert '"files_elsewhere"' in capfd.readouterr().err
    [finding] = said(places[1])
    assert finding.startswith(
        f"files: {places[1]}: this isn't where the files of this database are stored. Set MANIFEST_FILES"
    )
    places[0].rename(tmp_path / "not mounted")
    [finding] = said(places[0])
    assert finding.startswith(f"files: {places[0]} doesn't exist; mount it")
    assert not places[0].exists()


@pytest.mark.processes
async def test_a_restored_installation_starts_with_files_of_its_own(tmp_path: Path) -> None:
    done(tmp_path, "client", "create", "acme", MANIFEST_SECRET_KEY=SECRET_KEY)
    url, place = f"sqlite:///{tmp_path / 'data' / 'manifest-auth.db'}", tmp_path / "data" / "files"
    await kept_by_a_server(url, place)
    assert [path for path in place.rglob("*") if path.is_file()]
    assert bad(tmp_path, MANIFEST_SECRET_KEY=SECRET_KEY) == []
    done(tmp_path, "backup", "saved.tar", MANIFEST_SECRET_KEY=SECRET_KEY)
    done(tmp_path, "restore", "saved.tar", "--data-dir", "back", MANIFEST_SECRET_KEY=SECRET_KEY)
    assert bad(tmp_path, MANIFEST_DATA_DIR=str(tmp_path / "back"), MANIFEST_SECRET_KEY=SECRET_KEY) == []
