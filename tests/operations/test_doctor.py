"""``doctor`` reports each finding in one line, whether good or bad, and changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from manifest_auth.maintenance.doctor import storage
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.settings import load
from tests.releases import next_release
from tests.support.commands import Result, done_here, installation, run, run_here
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.postgres import Postgres
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY

pytestmark = [pytest.mark.processes, pytest.mark.one_store]

OTHER_KEY = SECRET_KEY[::-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database with keys."""
    done_here(installation(tmp_path), "client", "create", "initech")
    return tmp_path


def bad(result: Result) -> list[str]:
    """The bad findings, after checking that the exit status agrees with them and that every line is a finding."""
    lines = result.out.splitlines()
    assert result.err == ""
    assert all(line.startswith(("  ok   ", " note  ", " BAD   ")) for line in lines)
    found = [line.removeprefix(" BAD   ") for line in lines if line.startswith(" BAD")]
    assert result.status == (1 if found else 0)
    return found


def test_a_good_installation_has_no_bad_findings(folder: Path) -> None:
    result = run(folder, "doctor")
    assert bad(result) == []
    parts = [
        "clock",
        "secret key",
        "public address",
        "hashing",
        "database",
        "schema",
        "signing keys",
        "disk",
        "integrity",
    ]
    for part in (*parts, "file modes"):
        assert sum(line[7:].startswith(part) for line in result.out.splitlines()) == 1


def test_an_empty_folder_is_no_fault_and_stays_empty(tmp_path: Path) -> None:
    assert bad(run_here(tmp_path, "doctor")) == []
    assert list(tmp_path.iterdir()) == []


@matrix("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_key_that_others_can_read_is_bad(folder: Path, mode: int) -> None:
    key = folder / "data" / "secret.key"
    key.chmod(mode)
    [finding] = bad(run_here(folder, "doctor"))
    assert finding.startswith("secret key: others can read")
    assert f"chmod 600 {key}" in finding
    key.chmod(0o600)
    assert bad(run_here(folder, "doctor")) == []


def test_another_secret_key_is_bad(folder: Path) -> None:
    [finding] = bad(run_here(folder, "doctor", MANIFEST_SECRET_KEY=OTHER_KEY))
    assert finding.startswith("signing keys: the secret key isn't the one")
    (folder / "data" / "secret.key").write_text("short\n")
    findings = bad(run_here(folder, "doctor"))
    assert findings[0].startswith("secret key: ")


def test_a_secret_key_that_is_gone_is_not_promised_again(folder: Path) -> None:
    key = folder / "data" / "secret.key"
    key.rename(folder / "kept.key")
    result = run_here(folder, "doctor")
    [finding] = bad(result)
    assert finding.endswith("restore the copy that you kept, because backups don't contain it")
    assert "first start" not in result.out


def test_another_secret_key_stops_every_other_command(folder: Path) -> None:
    for command in (("serve", "--port", str(free_port())), ("keys", "rotate")):
        result = run(folder, *command, MANIFEST_SECRET_KEY=OTHER_KEY)
        assert (result.status, result.line) == (
            2,
            "MANIFEST_SECRET_KEY: not the key that this database was created with",
        )


def test_plain_http_for_others_is_bad(folder: Path) -> None:
    [finding] = bad(run_here(folder, "doctor", MANIFEST_PUBLIC_URL="http://auth.example.com"))
    assert finding.startswith("public address: http://auth.example.com is plain HTTP")
    lists = {"MANIFEST_TRUSTED_PROXIES": "::ffff:10.9.0.1", "MANIFEST_ADMIN_ADDRESSES": "10.9.0.0/16"}
    result = run_here(folder, "doctor", MANIFEST_PUBLIC_URL="https://auth.example.com", **lists)
    assert bad(result) == []
    assert "MANIFEST_ADMIN_ADDRESSES contains addresses of MANIFEST_TRUSTED_PROXIES" in result.out


def test_rate_limits_off_is_bad(folder: Path) -> None:
    [finding] = bad(run_here(folder, "doctor", MANIFEST_RATE_LIMITS="off"))
    assert finding.startswith("rate limits: ")


def test_a_postgresql_that_is_not_there_is_bad(tmp_path: Path) -> None:
    settings = {"MANIFEST_DATABASE_URL": "postgresql://127.0.0.1:1/none", "MANIFEST_SECRET_KEY": SECRET_KEY}
    [finding] = bad(run_here(tmp_path, "doctor", **settings))
    assert finding.startswith("database: PostgreSQL: ")
    result = run(tmp_path, "serve", **settings)
    assert result.status == 1
    assert result.line.startswith("PostgreSQL: ")


def test_a_good_postgresql(tmp_path: Path, own_postgres: Postgres) -> None:
    settings = {"MANIFEST_DATABASE_URL": own_postgres.fresh_database(), "MANIFEST_SECRET_KEY": SECRET_KEY}
    assert len(bad(run_here(tmp_path, "doctor", **settings))) == 2  # the timeouts, which a start sets
    done_here(tmp_path, "db", "upgrade", **settings)
    done_here(tmp_path, "client", "create", "initech", **settings)
    assert bad(run_here(tmp_path, "doctor", **settings)) == []
    [finding] = bad(run_here(tmp_path, "doctor", **{**settings, "MANIFEST_SECRET_KEY": OTHER_KEY}))
    assert finding.startswith("signing keys: ")


def with_version(folder: Path, version: str) -> None:
    store = sqlite3.connect(folder / "data" / "manifest-auth.db")
    store.execute("UPDATE alembic_version SET version_num = ?", (version,))
    store.commit()
    store.close()


def test_an_older_schema_is_noted_and_a_newer_one_is_bad(folder: Path) -> None:
    result = run(folder, "doctor", **next_release.runs_it(folder))
    assert bad(result) == []
    assert f" note  schema: {HEAD}, this version upgrades it to {next_release.SCHEMA}" in result.out
    with_version(folder, "0011")
    [finding] = bad(run_here(folder, "doctor"))
    assert finding.startswith("schema: 0011 is older than 0012, the first schema of a release; start with an empty ")
    with_version(folder, "9999")
    [finding] = bad(run_here(folder, "doctor"))
    assert finding.startswith("schema: 9999 is newer than")
    refused = run(folder, "serve", "--port", str(free_port()))
    assert refused.status == 1
    assert "9999" in refused.line


def test_a_file_that_is_no_store_is_bad(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database\n" * 100)
    [finding] = bad(run_here(tmp_path, "doctor", MANIFEST_DATABASE_URL=f"sqlite:///{file}"))
    assert finding.startswith("database: ")
    result = run(tmp_path, "db", "upgrade", MANIFEST_DATABASE_URL=f"sqlite:///{file}")
    assert result.status == 1
    assert str(file) in result.line


def test_a_new_data_folder_is_for_its_owner_alone(folder: Path) -> None:
    assert (folder / "data").stat().st_mode & 0o777 == 0o700


@matrix(("mode", "said"), [(0o755, "every user"), (0o701, "every user"), (0o770, "its group can change")])
def test_a_data_folder_that_others_get_into_is_bad(folder: Path, mode: int, said: str) -> None:
    data = folder / "data"
    data.chmod(mode)
    findings = bad(run_here(folder, "doctor"))
    assert findings[0].startswith(f"file modes: {said}")
    assert f"chmod 700 {data}" in findings[0]
    data.chmod(0o700)
    assert bad(run_here(folder, "doctor")) == []


def test_a_store_that_others_can_read_is_bad(folder: Path) -> None:
    """The database is outside the data folder."""
    place = folder / "shared"
    place.mkdir(mode=0o711)
    place.chmod(0o711)
    store = place / "m.db"
    (folder / "data" / "manifest-auth.db").rename(store)
    store.chmod(0o644)
    findings = bad(run_here(folder, "doctor", MANIFEST_DATABASE_URL=f"sqlite:///{store}"))
    assert any(f"can read {store}" in finding and f"chmod 600 {store}" in finding for finding in findings)


def test_a_damaged_store_is_bad(folder: Path) -> None:
    """The damage is in a table that nothing else reads here."""
    path = folder / "data" / "manifest-auth.db"
    store = sqlite3.connect(path)
    [(page,)] = store.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'job_records'").fetchall()
    store.close()
    with path.open("r+b") as raw:
        raw.seek(4096 * (page - 1))
        raw.write(b"\xff" * 4096)
    found = bad(run_here(folder, "doctor"))
    assert any(finding.startswith("integrity: ") and "restore a backup" in finding for finding in found)


def test_a_disk_that_is_almost_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, level in ((100, "bad"), (500, "note"), (5000, "ok")):
        usage = shutil._ntuple_diskusage(10**12, 1, free * 2**20)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        [found] = [
            f for f in storage.storage_findings(load({"MANIFEST_DATA_DIR": str(tmp_path)})) if f[1].startswith("disk")
        ]
        assert found[0] == level
        assert f"{free} MiB free" in found[1]
        assert ("free up space" in found[1]) == (level != "ok")


def test_providers_are_called_when_that_is_asked_for(folder: Path) -> None:
    unreachable = f"http://127.0.0.1:{free_port()}"
    assert "note  providers: no client has turned one on" in run_here(folder, "doctor", "--providers").out
    with provider(client_secret=None) as op:
        for name, issuer in (("good", op.issuer), ("gone", unreachable)):
            known = ("--client", "initech", "--issuer", issuer, "--client-id", op.client_id)
            done_here(folder, "provider", "add", name, *known, "--default-role", "Viewer")
        assert "provider good" not in run_here(folder, "doctor").out
        result = run_here(folder, "doctor", "--providers")
    assert "  ok   provider good of initech: responds as expected" in result.out
    [finding] = bad(result)
    assert finding.startswith("provider gone of initech: ")
    assert finding.endswith("run manifest-auth provider test gone --client initech")
