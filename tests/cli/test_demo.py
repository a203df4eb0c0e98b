"""``manifest-auth demo`` fills an empty database, prints how to sign in, and rejects databases with other data."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from manifest_auth.work.job_rules import JobStatus, RecordKind
from manifest_auth.work.templates import VersionStatus
from tests.support import programs
from tests.support.application import SLUGS
from tests.support.commands import done, run
from tests.support.matrix import matrix
from tests.support.processes import free_port
from tests.support.rules import rule
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import DEMO_PASSWORD, Server, environment, served, stop, wait_for

ACCOUNTS = [*(f"{slug}@acme.example" for slug in SLUGS.values()), "admin@globex.example", "admin"]
NO_PASSWORD = {"MANIFEST_DEMO_PASSWORD": ""}
KEY = {"MANIFEST_SECRET_KEY": SECRET_KEY}  # the servers' key


def shown(server: Server) -> dict[str, str]:
    """The passwords shown on the terminal, by account."""
    found = re.findall(r"^  (\S+) +(\S+)$", server.output.read_text(), re.MULTILINE)
    return {name: password for name, password in found if name in ACCOUNTS}


def pasted(server: Server, folder: Path) -> str:
    """Paste the lines of the welcome message into bash unchanged."""
    text = server.output.read_text()
    lines = text[text.index("# Sign in") :].splitlines()
    script = "\n".join(line for line in lines if not line.startswith("{"))
    answer = subprocess.run(["bash", "-eu"], input=script, cwd=folder, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    return answer.stdout


def answers(text: str) -> list[dict[str, object]]:
    """The consecutive JSON objects in a text."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := text.find("{", at)) >= 0:
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def test_the_lines_that_it_prints_work_when_pasted(tmp_path: Path, database_url: str) -> None:
    with served(tmp_path, database_url, **NO_PASSWORD) as server:
        passwords = shown(server)
        assert set(passwords) == set(ACCOUNTS)
        assert len(set(passwords.values())) == len(ACCOUNTS)
        signed_in, by_token, by_cookie, graphql, refreshed, signed_out = answers(pasted(server, tmp_path))
        for answer in (signed_in, by_token, by_cookie, refreshed, signed_out):
            assert answer["success"] is True
        assert by_token["data"]["user"] == by_cookie["data"]["user"]  # type: ignore[index]
        assert by_cookie["data"]["session"]["by"] == "cookie"  # type: ignore[index]
        assert {"id": 1, "email": "admin@acme.example"} in graphql["data"]["users"]  # type: ignore[index]
        port = server.port
    first = server.output.read_text()
    with served(tmp_path, database_url, port=port, **NO_PASSWORD) as server:  # type: ignore[arg-type]
        again = server.output.read_text()[len(first) :]
        assert "The database was filled before" in again
        assert not any(password in again for password in passwords.values())


def test_its_address_has_a_host_name_because_passkeys_need_one(tmp_path: Path) -> None:
    with served(tmp_path, MANIFEST_PUBLIC_URL="", **KEY) as server:
        address, text = f"http://localhost:{server.port}", server.output.read_text()
        assert address in text
        assert "http://127.0.0.1" not in text
        assert httpx2.get(f"{server.base}/sign-in").headers["location"] == f"{address}/sign-in"


def test_one_password_for_all_comes_from_the_environment(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        assert shown(server) == dict.fromkeys(ACCOUNTS, DEMO_PASSWORD)


@matrix("kept", [(), ("manifest-auth.db",)])
def test_only_a_named_folder_keeps_its_data(tmp_path: Path, kept: tuple[str, ...]) -> None:
    temporary, port = tmp_path / "temporary", free_port()
    temporary.mkdir()
    given = environment(tmp_path, MANIFEST_DATA_DIR="", MANIFEST_SECRET_KEY="", TMPDIR=str(temporary))
    named = ("--data-dir", str(tmp_path / "data")) if kept else ()
    output = tmp_path / "output"
    server = Server(programs.start(("demo", "--port", str(port), *named), given, output, folder=tmp_path), port, output)
    wait_for(server)
    [place] = tmp_path.glob("data" if kept else "temporary/manifest-auth-demo-*")
    assert (place / "manifest-auth.db").exists()
    assert (f"is in {place} until" in output.read_text()) == (not kept)
    assert stop(server) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [*(["data"] if kept else []), "output", "temporary"]
    assert tuple(path.name for path in tmp_path.glob("data/*.db")) == kept
    assert list(temporary.iterdir()) == []


def test_it_rejects_a_database_with_other_data(tmp_path: Path) -> None:
    done(tmp_path, "client", "create", "initech")
    result = run(tmp_path, "demo")
    assert (result.status, result.line) == (1, "demo: the database isn't empty, and the demo didn't fill it")


@rule("NO-DEFAULT-ACCOUNT")
@matrix(
    ("arguments", "settings"),
    [
        ((), {"MANIFEST_PUBLIC_URL": "https://auth.example.com"}),
        ((), {"MANIFEST_PUBLIC_URL": "http://192.168.1.5:8080"}),
        (("--host", "0.0.0.0"), {}),
        ((), {"MANIFEST_HOST": "::"}),
    ],
)
def test_it_rejects_addresses_that_others_can_reach(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str]
) -> None:
    result = run(tmp_path, "demo", *arguments, **settings)
    assert result.status == 2
    assert result.line.startswith("demo: allowed only on a loopback address")
    assert not (tmp_path / "data" / "manifest-auth.db").exists()


def test_the_first_screen_says_what_to_open_before_anything_else(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        text = server.output.read_text()
        address, console = f"Open {server.base}/sign-in in a browser", f"{server.base}/installation"
        assert text.index(address) < text.index(console) < text.index("admin@acme.example") < text.index("# Sign in")
        for page in ("/sign-in", "/installation", "/docs", "/docs/"):
            with urllib.request.urlopen(f"{server.base}{page}", timeout=60) as answer:
                assert answer.status == 200


def test_a_restart_says_how_to_sign_in_again(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        port = server.port
    first = server.output.read_text()
    with served(tmp_path, port=port) as server:  # type: ignore[arg-type]
        again = server.output.read_text()[len(first) :]
        assert "YOUR-PASSWORD" not in again
        link, reset = [shlex.split(line) for line in again.splitlines() if " user link " in line or " reset " in line]
        for address, folder, _, *arguments in (link, reset):
            given = dict(setting.split("=", 1) for setting in (address, folder))
            assert given == {"MANIFEST_PUBLIC_URL": server.base, "MANIFEST_DATA_DIR": str(tmp_path / "data")}
            out = done(tmp_path, *arguments, **KEY, **given)
            assert out.startswith((f"{server.base}/welcome", "System admin admin: set a new password"))


def test_it_has_two_weeks_of_work_with_a_genuine_audit_trail(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        http = httpx2.Client(base_url=server.base, timeout=60)
        body = {"email": "admin@acme.example", "password": DEMO_PASSWORD}
        token = http.post("/api/client/auth/sign-in", json=body).json()["data"]["token"]
        http.cookies.clear()
        http.headers["Authorization"] = f"Bearer {token}"
        query = "{ templates { isArchived versions { status } } jobs { status records { kind file { url } } } }"
        data = http.post("/api/client/graphql", json={"query": query}).json()["data"]
        versions = {version["status"] for template in data["templates"] for version in template["versions"]}
        assert versions == set(VersionStatus)
        assert any(template["isArchived"] for template in data["templates"])
        assert {job["status"] for job in data["jobs"]} == set(JobStatus)
        records = [record for job in data["jobs"] for record in job["records"]]
        assert {record["kind"] for record in records} == set(RecordKind) - {RecordKind.CHOICE}
        [picture] = [record["file"] for record in records if record["file"]]
        assert http.get(picture["url"]).content.startswith(b"\x89PNG")
        sessions = http.get("/api/client/auth/sessions").json()["data"]["items"]
        assert len({session["userAgent"] for session in sessions}) == 4  # three of the demo, and this one
        assert done(tmp_path, "audit", "verify", **KEY).endswith("all intact.\n")
        events = [json.loads(line) for line in done(tmp_path, "audit", "export", **KEY).splitlines()]
    ages = [datetime.now(UTC) - datetime.fromisoformat(event["at"]) for event in events]
    assert {age.days for age in ages} >= set(range(14))
    assert max(ages) < timedelta(days=14, hours=1)
    for client in ("acme", "globex", None):
        times = [event["at"] for event in events if event["client"] == client]
        assert len(times) > 3
        assert times == sorted(times)
