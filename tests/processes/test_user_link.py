"""``manifest-auth user link`` prints a one-time link on the server, in case emails don't arrive."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.commands import done, run
from tests.support.server import DEMO_PASSWORD, Server, environment, served
from tests.support.user_management import NEW

NOWHERE = {"MANIFEST_SMTP_URL": "smtp://127.0.0.1:9", "MANIFEST_MAIL_FROM": "a@b.example"}


def send(server: Server, path: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.base}/api/client/auth/{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


def test_it_prints_a_link_that_works_though_the_mail_server_is_gone(tmp_path: Path) -> None:
    with served(tmp_path, **NOWHERE) as server:
        ours = {k: v for k, v in environment(tmp_path, **NOWHERE).items() if k.startswith("MANIFEST_")}
        ours["MANIFEST_PUBLIC_URL"] = server.base

        def link_for(email: str) -> str:
            link, note = done(tmp_path, "user", "link", email, "--client", "acme", **ours).splitlines()
            assert link.startswith(f"{server.base}/welcome#")
            assert email in note
            return link.partition("#")[2]

        token = link_for("admin@acme.example")
        assert send(server, "link", {"token": token})["purpose"] == "reset"
        assert send(server, "password/reset", {"token": token, "newPassword": NEW})["user"]["roles"] == ["Admin"]
        made = ("user", "create", "ada@acme.example", "--client", "acme", "--role", "Viewer", "--password-stdin")
        done(tmp_path, *made, given=f"{DEMO_PASSWORD}\n", **ours)
        assert send(server, "link", {"token": link_for("ada@acme.example")})["purpose"] == "reset"
        for wrong, sentence in (
            (("nobody@acme.example", "--client", "acme"), "client acme has no user nobody@acme.example"),
            (("admin@acme.example", "--client", "initech"), "no client has the identifier initech"),
        ):
            result = run(tmp_path, "user", "link", *wrong, **ours)
            assert (result.status, result.line) == (1, sentence)
            assert result.out == ""
