"""The command line, mostly as real processes: help, several web processes, and the secret key that is created once."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import keys_of_a_start
from manifest_auth.runtime.settings import Settings, load
from tests.support.application import FAST
from tests.support.commands import done, done_here, environment, run, until
from tests.support.matrix import matrix
from tests.support.processes import free_port
from tests.support.programs import COMMAND
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import DEMO_PASSWORD, Server, served

COMMANDS: list[tuple[str, ...]] = [
    (),
    ("serve",),
    ("db",),
    ("db", "upgrade"),
    ("admin",),
    ("admin", "create"),
    ("setup-code",),
    ("client", "create"),
    ("user", "create"),
    ("keys", "rotate"),
    ("license",),
    ("license", "keygen"),
    ("license", "issue"),
    ("license", "inspect"),
    ("doctor",),
]


@matrix("command", COMMANDS, ids=lambda c: " ".join(c) or "top")
def test_every_command_has_help(tmp_path: Path, command: tuple[str, ...]) -> None:
    text = done_here(tmp_path, *command, "--help")
    assert text.startswith(f"usage: {' '.join(('manifest-auth', *command))}")
    assert "--password " not in text
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_told(tmp_path: Path) -> None:
    assert done(tmp_path, "--version").startswith("manifest-auth 0.")


def call(server: Server, path: str, body: object = None, token: str = "") -> dict[str, dict[str, str]]:
    request = urllib.request.Request(f"{server.base}{path}", json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    request.add_header("Connection", "close")  # the next request can reach another process
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, dict[str, str]] = json.load(answer)
        return found


@pytest.mark.one_store
def test_two_web_processes_share_every_session(tmp_path: Path, database_url: str) -> None:
    with served(tmp_path, database_url, MANIFEST_WORKERS="2", MANIFEST_LOG_LEVEL="info") as server:
        until(lambda: server.output.read_text().count('"event":"started"') == 2)
        tokens = []
        for _ in range(6):
            body = {"email": "author@acme.example", "password": DEMO_PASSWORD}
            tokens.append(call(server, "/api/client/auth/sign-in", body)["data"]["token"])
        for token in tokens * 2:
            assert call(server, "/api/client/auth/me", token=token)["success"]


def test_the_host_and_port_of_the_command_line_count(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port)],
        env=environment(tmp_path, MANIFEST_HOST="192.0.2.1", MANIFEST_PORT="1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert any('"event":"started"' in line for line in process.stderr)
        busy = run(tmp_path, "serve", "--port", str(port))
        for _ in range(20):  # it starts listening right after that line
            if busy.status == 1:
                break
            busy = run(tmp_path, "serve", "--port", str(port))
        assert busy.line == f"MANIFEST_PORT: port {port} on 127.0.0.1 is already in use"
    finally:
        process.terminate()
        assert process.wait(15) in (0, -15)


def test_the_secret_key_is_made_for_the_owner_alone_and_kept(tmp_path: Path) -> None:
    done(tmp_path, "client", "create", "initech")
    key = tmp_path / "data" / "secret.key"
    made = key.read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(bytes.fromhex(made.strip())) == 32
    done(tmp_path, "keys", "rotate")
    assert key.read_text() == made


@pytest.mark.endurance
def test_processes_that_start_at_the_same_time_make_one_key_and_one_schema(tmp_path: Path) -> None:
    commands = [("client", "create", f"client-{number}") for number in range(4)]
    started = [
        subprocess.Popen([*COMMAND, *command], env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    for process in started:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert run(tmp_path, "doctor").status == 0  # the one key decrypts all signing keys


def test_no_one_ever_reads_half_a_key(tmp_path: Path) -> None:
    """A process that starts while another one creates the key must find all of it or nothing."""
    with ThreadPoolExecutor(8) as starters:
        for turn in range(100):
            settings = load({"MANIFEST_DATA_DIR": str(tmp_path / str(turn))})

            def started(_: int, settings: Settings = settings) -> str:
                return keys_of_a_start(settings, Random(), lambda: True).texts[0]

            keys = set(starters.map(started, range(8)))
            assert len(keys) == 1
            assert [path.name for path in (tmp_path / str(turn)).iterdir()] == ["secret.key"]


def test_a_key_from_the_environment_makes_no_file(tmp_path: Path) -> None:
    done(tmp_path, "client", "create", "initech", MANIFEST_SECRET_KEY=SECRET_KEY)
    assert not (tmp_path / "data" / "secret.key").exists()


def test_doctor_tells_where_its_settings_are_not_those_of_the_server_that_runs(tmp_path: Path) -> None:
    given = {"MANIFEST_PUBLIC_URL": "https://auth.example.com", "MANIFEST_TRUSTED_PROXIES": "127.0.0.1",
             "MANIFEST_METRICS_TOKEN": "a-token-of-metrics"}  # fmt: skip
    file = tmp_path / "settings"

    def told(**changed: str) -> str:
        values = {**FAST, "MANIFEST_LOG_LEVEL": "info", **given, **changed}
        file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        found = run(tmp_path, "--env-file", str(file), "doctor")
        assert "a-token" not in found.out + found.err
        assert ("every user of this machine can access" in found.out) == bool(file.stat().st_mode & 0o007)
        file.chmod(0o640)  # initially the default mode of this process
        [line] = [line for line in found.out.splitlines() if "  settings: " in line] or [found.err]
        return line

    with served(tmp_path, demo=False, MANIFEST_DEMO_PASSWORD="", **given) as server:  # type: ignore[arg-type]
        assert told() == "  ok   settings: same as those of the running server"
        changed = told(MANIFEST_METRICS_TOKEN="a-token-of-another", MANIFEST_OPERATOR_EMAIL="ops@x.example")
        assert changed.startswith(" note  settings: the running server has different values for MANIFEST_")
        assert {*re.findall("MANIFEST_[A-Z_]+", changed)} == {"MANIFEST_METRICS_TOKEN", "MANIFEST_OPERATOR_EMAIL"}
        assert "different values for MANIFEST_SECRET_KEY;" in told(MANIFEST_SECRET_KEY=SECRET_KEY[::-1])
        server.kill()
    assert told() == ""
