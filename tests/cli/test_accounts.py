"""Accounts on the command line; passwords come from a prompt or standard input, never from arguments."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import done, typed
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import start, stop

pytestmark = pytest.mark.one_store

PASSWORD = "glacier-pencil-77-mango"
USER = ("user", "create", "ann@initech.example", "--client", "initech")


@pytest.fixture(scope="module")
def settings(empty_url: str) -> dict[str, str]:
    return {"MANIFEST_DATABASE_URL": empty_url, "MANIFEST_SECRET_KEY": SECRET_KEY}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Path:
    """A database with the client initech."""
    folder = tmp_path_factory.mktemp("accounts")
    assert done(folder, "db", "upgrade", **settings) == "The schema was upgraded.\n"
    assert done(folder, "db", "upgrade", **settings) == "The schema is up to date.\n"
    out = done(folder, "client", "create", "initech", "--name", "Initech Ltd", **settings)
    assert out == "Created client initech (number 1).\n"
    return folder


def sign_in(base: str, path: str, body: dict[str, str]) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{base}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def test_accounts_created_from_standard_input_and_from_a_prompt_can_sign_in(
    folder: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    names = ("--first-name", "Ann", "--last-name", "Lee", "--title", "Fitter")
    roles = ("--role", "Operator", "--role", "User Admin")
    out = done(folder, *USER, *roles, *names, "--password-stdin", given=f"{PASSWORD}\n", **settings)
    assert out == "Created user ann@initech.example (number 1).\n"
    out = done(folder, "admin", "create", "root", "--password-stdin", given=PASSWORD, **settings)
    assert out == "Created system admin root (number 1).\n"
    prompted = ("user", "create", "bob@initech.example", "--client", "initech", "--role", "Viewer")
    status, shown = typed(folder, prompted, [PASSWORD, PASSWORD], **settings)
    assert status == 0, shown
    assert "Created user bob@initech.example (number 2)." in shown
    assert PASSWORD not in shown
    server = start(tmp_path, demo=False, **environment_of(folder, settings))  # type: ignore[arg-type]
    try:
        path = "/api/client/auth/sign-in"
        ann = sign_in(server.base, path, {"email": "ann@initech.example", "password": PASSWORD})["data"]["user"]
        assert (ann["firstName"], ann["lastName"], ann["clientId"]) == ("Ann", "Lee", "initech")
        assert set(ann["roles"]) == {"Operator", "User Admin"}
        assert sign_in(server.base, path, {"email": "bob@initech.example", "password": PASSWORD})["success"]
        path = "/api/admin/auth/sign-in"
        assert sign_in(server.base, path, {"username": "root", "password": PASSWORD})["success"]
    finally:
        stop(server)


def environment_of(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    return {**settings, "MANIFEST_DATA_DIR": str(folder / "data"), "database_url": settings["MANIFEST_DATABASE_URL"]}


def test_keys_rotate_keeps_everybody_signed_in(folder: Path, settings: dict[str, str], tmp_path: Path) -> None:
    mail = "kim@initech.example"
    command = ("user", "create", mail, "--client", "initech", "--role", "Viewer", "--password-stdin")
    done(folder, *command, given=PASSWORD, **settings)
    server = start(tmp_path, demo=False, **environment_of(folder, settings))  # type: ignore[arg-type]
    try:
        body = {"email": mail, "password": PASSWORD}
        before = sign_in(server.base, "/api/client/auth/sign-in", body)["data"]
        assert done(folder, "keys", "rotate", **settings).startswith("New keys sign tokens.")
    finally:
        stop(server)
    port = server.port  # keeps the public address, which is the issuer of the tokens
    server = start(tmp_path, demo=False, port=port, **environment_of(folder, settings))
    try:
        request = urllib.request.Request(f"{server.base}/api/client/auth/me")
        request.add_header("Authorization", f"Bearer {before['token']}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["data"]["user"]["email"] == mail
        renewed = sign_in(server.base, "/api/client/auth/refresh", {"refreshToken": before["refreshToken"]})
        assert renewed["success"]
    finally:
        stop(server)
