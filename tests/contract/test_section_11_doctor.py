"""Contract, section 11: ``doctor`` says in one line each what is well and what is not, and changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.support.commands import Result, done, run
from tests.support.house import SECRET_KEY
from tests.support.server import free_port

OTHER_KEY = SECRET_KEY[::-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with keys."""
    done(tmp_path, "client", "create", "initech")
    return tmp_path


def bad(result: Result) -> list[str]:
    """The bad findings; the exit status must agree with them, and every line must be a finding."""
    lines = result.out.splitlines()
    assert result.err == ""
    assert all(line.startswith(("  ok   ", " note  ", " BAD   ")) for line in lines)
    found = [line.removeprefix(" BAD   ") for line in lines if line.startswith(" BAD")]
    assert result.status == (1 if found else 0)
    return found


def test_a_good_installation_has_no_bad_findings(folder: Path) -> None:
    result = run(folder, "doctor")
    assert bad(result) == []
    for part in ("clock", "secret key", "public address", "hashing", "store", "schema", "signing keys"):
        assert sum(line[7:].startswith(part) for line in result.out.splitlines()) == 1


def test_an_empty_folder_is_no_fault_and_stays_empty(tmp_path: Path) -> None:
    assert bad(run(tmp_path, "doctor")) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_key_that_others_can_read_is_bad(folder: Path, mode: int) -> None:
    key = folder / "data" / "secret.key"
    key.chmod(mode)
    [finding] = bad(run(folder, "doctor"))
    assert finding.startswith("secret key: others can read")
    assert f"chmod 600 {key}" in finding
    key.chmod(0o600)
    assert bad(run(folder, "doctor")) == []


def test_another_secret_key_is_bad(folder: Path) -> None:
    [finding] = bad(run(folder, "doctor", MANIFEST_SECRET_KEY=OTHER_KEY))
    assert finding.startswith("signing keys: the secret key is not the one")
    (folder / "data" / "secret.key").write_text("short\n")
    findings = bad(run(folder, "doctor"))
    assert findings[0].startswith("secret key: ")


def test_another_secret_key_stops_every_other_command(folder: Path) -> None:
    for command in (("serve", "--port", str(free_port())), ("keys", "rotate")):
        result = run(folder, *command, MANIFEST_SECRET_KEY=OTHER_KEY)
        assert (result.status, result.line) == (1, "MANIFEST_SECRET_KEY: not the key that this store was made with")


def test_plain_http_for_others_is_bad(folder: Path) -> None:
    [finding] = bad(run(folder, "doctor", MANIFEST_PUBLIC_URL="http://auth.example.com"))
    assert finding.startswith("public address: http://auth.example.com is plain http")
    assert bad(run(folder, "doctor", MANIFEST_PUBLIC_URL="https://auth.example.com")) == []


def test_rate_limits_off_is_bad(folder: Path) -> None:
    [finding] = bad(run(folder, "doctor", MANIFEST_RATE_LIMITS="off"))
    assert finding.startswith("throttle: ")


def test_a_postgresql_that_is_not_there_is_bad(tmp_path: Path) -> None:
    settings = {"MANIFEST_DATABASE_URL": "postgresql://127.0.0.1:1/none", "MANIFEST_SECRET_KEY": SECRET_KEY}
    [finding] = bad(run(tmp_path, "doctor", **settings))
    assert finding.startswith("store: PostgreSQL: ")
    result = run(tmp_path, "serve", **settings)
    assert result.status == 1
    assert result.line.startswith("PostgreSQL: ")


def test_a_good_postgresql(tmp_path: Path, postgres: object) -> None:
    settings = {"MANIFEST_DATABASE_URL": postgres.fresh_database(), "MANIFEST_SECRET_KEY": SECRET_KEY}  # type: ignore[attr-defined]
    assert bad(run(tmp_path, "doctor", **settings)) == []
    done(tmp_path, "client", "create", "initech", **settings)
    assert bad(run(tmp_path, "doctor", **settings)) == []
    [finding] = bad(run(tmp_path, "doctor", **{**settings, "MANIFEST_SECRET_KEY": OTHER_KEY}))
    assert finding.startswith("signing keys: ")


def with_version(folder: Path, version: str) -> None:
    store = sqlite3.connect(folder / "data" / "manifest-auth.db")
    store.execute("UPDATE alembic_version SET version_num = ?", (version,))
    store.commit()
    store.close()


def test_an_older_schema_is_noted_and_a_newer_one_is_bad(folder: Path) -> None:
    with_version(folder, "0000")
    result = run(folder, "doctor")
    assert bad(result) == []
    assert " note  schema: 0000, this release brings" in result.out
    with_version(folder, "9999")
    [finding] = bad(run(folder, "doctor"))
    assert finding.startswith("schema: 9999 is newer than this release")
    refused = run(folder, "serve", "--port", str(free_port()))
    assert refused.status == 1
    assert "9999" in refused.line


def test_a_file_that_is_no_store_is_bad(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database\n" * 100)
    [finding] = bad(run(tmp_path, "doctor", MANIFEST_DATABASE_URL=f"sqlite:///{file}"))
    assert finding.startswith("store: ")
    result = run(tmp_path, "db", "upgrade", MANIFEST_DATABASE_URL=f"sqlite:///{file}")
    assert result.status == 1
    assert str(file) in result.line
