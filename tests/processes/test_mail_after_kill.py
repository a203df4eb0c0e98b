"""If a server is killed between a commit and its email, the next server sends the email."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.mail_server import SENDER, MailServer
from tests.support.postgres import Databases
from tests.support.server import DEMO_PASSWORD, Server, start, stop
from tests.support.user_management import INVITE, NEW

pytestmark = pytest.mark.endurance


def send(server: Server, path: str, body: Any, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(server.base + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def sign_in(server: Server) -> str:
    body = {"email": "admin@acme.example", "password": DEMO_PASSWORD}
    return str(send(server, "/api/client/auth/sign-in", body)["data"]["token"])


def begin_to_invite(server: Server, token: str) -> None:
    """Request an invitation without waiting for the response, which never comes."""
    body = {"query": INVITE, "variables": {"input": {"email": "ada@acme.example", "roles": ["Viewer"]}}}
    threading.Thread(target=lambda: _ignoring(server, body, token), daemon=True).start()


def _ignoring(server: Server, body: Any, token: str) -> None:
    try:
        send(server, "/api/client/graphql", body, token)
    except (OSError, ValueError):
        return


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_the_email_is_sent_by_the_next_server(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    database = ""
    if store == "postgresql":
        postgres: Databases = request.getfixturevalue("postgres")
        database = postgres.fresh_database()
    hanging = socket.create_server(("127.0.0.1", 0))
    hanging.settimeout(20)
    silent = {"MANIFEST_SMTP_URL": f"smtp://127.0.0.1:{hanging.getsockname()[1]}", "MANIFEST_MAIL_FROM": SENDER}
    first = start(tmp_path, database, **silent)  # type: ignore[arg-type]
    try:
        begin_to_invite(first, sign_in(first))
        connection, _ = hanging.accept()  # the action is committed, and its email is in progress
        first.kill()
        connection.close()
    finally:
        stop(first)
        hanging.close()
    with MailServer() as mail_server:
        second = start(tmp_path, database, **{**silent, **mail_server.settings})  # type: ignore[arg-type]
        try:
            deadline = time.monotonic() + 40
            while not mail_server.mails:
                assert time.monotonic() < deadline, "no email came"
                time.sleep(0.05)
            [received] = mail_server.mails
            assert received.recipients == ["ada@acme.example"]
            accepted = send(second, "/api/client/auth/invitations/accept", {"token": received.token, "password": NEW})
            assert accepted["data"]["user"]["email"] == "ada@acme.example"
        finally:
            stop(second)
