"""``doctor`` after common mistakes prints one line that says what is wrong and what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from manifest_auth.maintenance.doctor import environment as clock
from manifest_auth.maintenance.doctor import examine
from manifest_auth.maintenance.doctor import run as doctor_run
from manifest_auth.maintenance.doctor.environment import address
from manifest_auth.maintenance.doctor.storage import unusable
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import load
from tests.runtime.outgoing.test_dns import certificate
from tests.support.commands import done_here, environment, installation, run_here
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer, Asked, Socket
from tests.support.postgres import Databases
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY

pytestmark = [pytest.mark.processes, pytest.mark.one_store]

NOBODY = 65534
ALIVE = b'{"success":true,"data":{"status":"alive"}}'


async def findings(folder: Path, level: str, **given: str) -> list[str]:
    """The findings of ``doctor`` at this level, in this process."""
    settings = load({"MANIFEST_DATA_DIR": str(folder / "data"), **given})
    return [finding.text async for finding in examine(settings) if finding.level == level]


@pytest.fixture
def folder() -> Iterator[Path]:
    """An installation in a folder that other users can read."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        done_here(installation(Path(place)), "client", "create", "initech")
        yield Path(place)


def as_unprivileged_user(asked: Callable[[], Any]) -> Any:
    """The result of a call in a separate process, as a user without privileges."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(theirs, json.dumps(asked()).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)


@pytest.mark.needs_root
def test_a_data_folder_of_someone_else(folder: Path) -> None:
    data = folder / "data"
    settings = load({"MANIFEST_DATA_DIR": str(data)})
    assert as_unprivileged_user(lambda: unusable(settings)) == (
        f"{data} belongs to root; run this command as root, or run: chown -R nobody {data}"
    )
    folder.chmod(0o700)
    said = as_unprivileged_user(lambda: unusable(settings))
    assert said.startswith(f"nobody can't access {data} (Permission denied); run this command as its owner")
    folder.chmod(0o755)
    os.chown(data, NOBODY, NOBODY)
    assert as_unprivileged_user(lambda: unusable(settings)) == ""
    data.chmod(0o500)
    said = as_unprivileged_user(lambda: unusable(settings))
    assert said == f"{data} isn't writable; check its mode, and whether it is mounted read-only"


@pytest.mark.needs_root
def test_a_data_folder_that_cannot_be_made(folder: Path) -> None:
    settings = load({"MANIFEST_DATA_DIR": str(folder / "some" / "where")})
    place = folder / "some" / "where"
    assert as_unprivileged_user(lambda: unusable(settings)) == (
        f"{place} doesn't exist, and nobody can't create it; run: install -d -m 700 -o nobody {place}"
    )


@pytest.mark.needs_root
def test_a_secret_key_of_someone_else(folder: Path) -> None:
    data = folder / "data"
    os.chown(data, NOBODY, NOBODY)
    settings = load({"MANIFEST_DATA_DIR": str(data)})
    [[level, text]] = as_unprivileged_user(lambda: doctor_run._secret(settings))
    key = data / "secret.key"
    assert (level, text) == (
        "bad", f"secret key: {key} belongs to root, and nobody can't read it; run: chown nobody {key}",
    )  # fmt: skip


async def test_a_data_folder_that_is_a_file_has_one_finding(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert await findings(tmp_path, "bad") == [
        f"data folder: {tmp_path / 'data'} isn't a folder; check MANIFEST_DATA_DIR"
    ]


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Socket]:
    """A TLS server at the public address, with a trusted certificate."""
    shown, context = certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    with Socket(context) as socket:
        threading.Thread(target=socket.serve, daemon=True).start()
        yield socket


@matrix(
    ("answer", "level", "said"),
    [
        (Answer(body=ALIVE), "ok", "reaches a running server"),
        (
            Answer(502),
            "note",
            "the proxy can't reach a server (status 502); start the server, or check the proxy's target",
        ),
        (Answer(404), "bad", "a different server responds there (status 404); check the proxy's target"),
        (Answer(body=b"<h1>It works!</h1>"), "bad", "a different server responds there (status 200)"),
        (Answer(302, {"Location": "https://elsewhere.example/"}), "note", "redirected to https://elsewhere.example/"),
    ],
)
async def test_the_server_at_the_public_address(proxy: Socket, answer: Answer, level: str, said: str) -> None:
    asked: list[str] = []

    def answered(request: Asked) -> Answer:
        asked.append(request.path)
        return answer

    proxy.answer = answered
    url = f"https://localhost:{proxy.port}"
    [found, _] = await address(load({"MANIFEST_PUBLIC_URL": url}))
    assert (found[0], asked) == (level, ["/healthz"])
    assert found[1].startswith(f"public address: {url}")
    assert said in found[1]


async def test_a_public_address_whose_certificate_browsers_reject(
    proxy: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    [(level, text), _] = await address(load({"MANIFEST_PUBLIC_URL": f"https://localhost:{proxy.port}"}))
    assert level == "bad"
    assert "browsers reject it" in text
    assert text.endswith("fix the proxy's certificate")


async def test_a_public_address_without_a_server() -> None:
    for name in (f"localhost:{free_port()}", "nowhere.invalid"):
        [(level, text), (other, proxies)] = await address(load({"MANIFEST_PUBLIC_URL": f"https://{name}"}))
        assert (level, other) == ("note", "bad")
        assert text.startswith(f"public address: https://{name} can't be reached from here (")
        assert proxies.startswith("proxy: MANIFEST_TRUSTED_PROXIES is empty")
    trusting = {"MANIFEST_PUBLIC_URL": "https://nowhere.invalid", "MANIFEST_TRUSTED_PROXIES": "127.0.0.1"}
    assert len(await address(load(trusting))) == 1


class Wrong(Clock):
    """A clock that is off by this many seconds."""

    def __init__(self, seconds: int) -> None:
        self._ms = seconds * 1000

    def now_ms(self) -> int:
        return super().now_ms() + self._ms


async def test_a_clock_that_is_behind_what_was_recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, is_bad in ((-20, False), (3600, False), (-3600, True)):
        monkeypatch.setattr(doctor_run, "Clock", lambda seconds=seconds: Wrong(seconds))
        found = [text for text in await findings(folder, "bad") if text.startswith("clock: ")]
        assert bool(found) == is_bad, seconds
        assert all("behind 20" in text and text.endswith("correct it, preferably with NTP") for text in found)


def test_a_clock_in_the_far_future() -> None:
    for years, level in ((0, "ok"), (10, "ok"), (74, "bad"), (-30, "bad")):
        found, text = clock.plausible(Wrong(years * 31_556_952).now_ms())
        assert found == level, years
        assert text.startswith("clock: ")


@matrix(
    ("networks", "named"),
    [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("127.0.0.1, 128.0.0.0/1,::/0", "128.0.0.0/1, ::/0"),
        ("10.0.0.0/8, fd00::/16, ::1", ""),
    ],
)
async def test_proxies_that_include_everyone(networks: str, named: str) -> None:
    given = {"MANIFEST_PUBLIC_URL": "https://nowhere.invalid", "MANIFEST_TRUSTED_PROXIES": networks}
    found = [text for level, text in await address(load(given)) if level == "bad"]
    assert [text.partition(":")[0] for text in found] == (["proxy"] if named else [])
    assert all(f"contains {named}. " in text and text.endswith("List only your proxies") for text in found)


OTHERS = [pytest.param(mask, marks=pytest.mark.endurance) for mask in ("022", "077")]


@matrix("umask", ["000", *OTHERS])
def test_only_the_owner_can_read_the_database_with_any_umask(tmp_path: Path, umask: str) -> None:
    command = f'umask {umask}; exec "$0" -m manifest_auth client create initech'
    settings = environment(tmp_path)
    subprocess.run(["/bin/sh", "-c", command, sys.executable], env=settings, cwd=tmp_path, check=True)
    made = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "data").iterdir() if path.is_file()}
    assert made.keys() >= {"manifest-auth.db", "secret.key"}
    assert set(made.values()) == {"0o600"}


def test_a_group_that_gets_at_folder_and_store(folder: Path) -> None:
    data, store = folder / "data", folder / "data" / "manifest-auth.db"
    data.chmod(0o750)
    store.chmod(0o640)
    found = [line for line in run_here(folder, "doctor").out.splitlines() if line.startswith(" BAD ")]
    assert [line.partition("its group ")[2].split(str(data))[0] for line in found] == ["can access ", "can read "]
    assert found[0].endswith(f"run: chmod 700 {data}")
    assert found[1].endswith(f"run: chmod 600 {store}*")


def test_a_store_that_is_something_else(folder: Path) -> None:
    (folder / "data" / "manifest-auth.db").write_bytes(b"something else " * 1000)
    found = [line for line in run_here(folder, "doctor").out.splitlines() if line.startswith(" BAD ")]
    assert len(found) == 1
    assert "file is not a database; check MANIFEST_DATABASE_URL; if the database is damaged" in found[0]


async def test_a_clock_that_is_not_that_of_postgresql(
    tmp_path: Path, postgres: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"MANIFEST_DATABASE_URL": postgres.fresh_database(), "MANIFEST_SECRET_KEY": SECRET_KEY}
    done_here(tmp_path, "client", "create", "initech", **given)
    for seconds, said in ((0, ""), (3600, "s ahead of PostgreSQL's; correct both"), (-3600, "s behind PostgreSQL's")):
        monkeypatch.setattr(doctor_run, "Clock", lambda seconds=seconds: Wrong(seconds))
        found = [text for text in await findings(tmp_path, "bad", **given) if text.startswith("clock: ")]
        assert len(found) == bool(said)
        assert all(said in text for text in found)


async def test_the_clock_of_another_node(tmp_path: Path, postgres: Databases) -> None:
    given = {"MANIFEST_DATABASE_URL": postgres.fresh_database(), "MANIFEST_SECRET_KEY": SECRET_KEY}
    done_here(tmp_path, "client", "create", "initech", **given)
    raw = await asyncpg.connect(given["MANIFEST_DATABASE_URL"])
    now = Clock().now_ms()
    for host, seen_at, skew_ms in (
        ("right", now, 9000),
        ("wrong", now, -7_200_000),
        ("gone", now - 300_000, 7_200_000),
    ):
        await raw.execute(
            "INSERT INTO nodes (id, started_at, seen_at, host, pid, version, schema, state, skew_ms) "
            "VALUES ($1, 0, $2, $1, 77, '', '', '', $3)", host, seen_at, skew_ms
        )  # fmt: skip
    await raw.close()
    [found] = [text for text in await findings(tmp_path, "bad", **given) if text.startswith("clock: ")]
    assert found == "clock: node wrong (process 77) is 7200 s behind PostgreSQL's; correct it, preferably with NTP"


def test_mail_and_postgresql_that_are_not_there(tmp_path: Path) -> None:
    unreachable = f"127.0.0.1:{free_port()}"
    given = {"MANIFEST_SMTP_URL": f"smtp://{unreachable}", "MANIFEST_MAIL_FROM": "a@b.example"}
    given |= {"MANIFEST_DATABASE_URL": f"postgresql://u:secret@{unreachable}/m", "MANIFEST_SECRET_KEY": SECRET_KEY}
    result = run_here(tmp_path, "doctor", **given)
    assert (result.status, result.err) == (1, "")
    mail, store = (line for line in result.out.splitlines() if line.startswith(" BAD "))
    assert "Connection refused); check its address" in mail
    assert store.endswith("; check that it is running, and check MANIFEST_DATABASE_URL")
    assert "secret" not in store
