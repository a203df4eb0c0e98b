"""``admin reset`` lets a system admin sign in again when no other admin can help."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pyotp

from manifest_auth.runtime.clock import Clock
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, Server, command, served


def _call(server: Server, path: str, body: object, token: str = "") -> tuple[int, Any]:
    request = urllib.request.Request(f"{server.base}/api/admin/auth/{path}", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


def _sign_in(server: Server, password: str = DEMO_PASSWORD) -> tuple[int, Any]:
    return _call(server, "sign-in", {"username": "admin", "password": password})


def _reset(folder: Path, database_url: str, *arguments: str) -> tuple[int, list[str], str]:
    process = command(folder, database_url, "admin", "reset", *arguments, MANIFEST_LOG_LEVEL="error")
    status, out, err = process.ended()
    return status, out.splitlines(), err


@rule("ADMIN-PLANE")
def test_a_lost_second_factor_or_password_can_be_reset(tmp_path: Path, database_url: str) -> None:
    with served(tmp_path, database_url) as server:
        token = _sign_in(server)[1]["token"]
        secret = _call(server, "second-factor", {"password": DEMO_PASSWORD}, token)[1]["secret"]
        code = pyotp.TOTP(secret).at(Clock().now_ms() // 1000)
        assert _call(server, "second-factor/confirm", {"password": DEMO_PASSWORD, "otp": code}, token)[0] == 200
        assert _sign_in(server)[0] == 401
        status, said, _ = _reset(tmp_path, database_url, "admin")
        assert (status, said) == (0, ["System admin admin: removed the second factor, sessions ended: 1."])
        assert _sign_in(server)[0] == 200
        status, said, _ = _reset(tmp_path, database_url, "ADMIN", "--new-password", "--enable")
        assert (status, said[:-1]) == (0, ["System admin ADMIN: set a new password, sessions ended: 1."])
        assert _sign_in(server)[0] == 401
        while _sign_in(server, "wrong")[0] != 429:
            pass
        assert _sign_in(server, said[-1])[0] == 429
        assert _reset(tmp_path, database_url, "admin")[0] == 0
        assert _sign_in(server, said[-1])[0] == 200
        status, said, err = _reset(tmp_path, database_url, "nobody")
        assert (status, said, err) == (1, [], "manifest-auth: no system admin has the name nobody\n")
