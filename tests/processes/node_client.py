"""HTTP requests to one of several server processes, shared by these tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.processes.quiet_time import quiet_time
from tests.support.server import DEMO_PASSWORD, Server

#: One public address for all nodes of an installation, with many sign-ins allowed from one address.
NODE: dict[str, Any] = {"MANIFEST_PUBLIC_URL": "http://127.0.0.1:8080", "MANIFEST_RATE_LIMITS": "off"}
AUTH = "/api/client/auth"
AUTHOR = "author@acme.example"


class Node:
    """One process of an installation, from a client's perspective."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx2.Client(base_url=server.base, timeout=60)

    def post(self, path: str, body: Any = None, token: str | None = None) -> httpx2.Response:
        self.http.cookies.clear()
        return self.http.post(path, json=body, headers=bearer(token))

    def sign_in(self, email: str = AUTHOR) -> dict[str, Any]:
        answer = self.post(f"{AUTH}/sign-in", {"email": email, "password": DEMO_PASSWORD})
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        answer = self.post(f"{AUTH}/refresh", {"refreshToken": refresh_token})
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def me(self, token: str) -> httpx2.Response:
        self.http.cookies.clear()
        return self.http.get(f"{AUTH}/me", headers=bearer(token))

    def admin(self, method: str, path: str, body: Any = None) -> None:
        """Send a request as the system admin."""
        signed_in = self.post("/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD})
        token = signed_in.json()["data"]["token"]
        answer = self.http.request(method, f"/api/admin{path}", json=body, headers=bearer(token))
        assert answer.status_code in (200, 201), answer.text

    def counter(self, name: str, **labels: str) -> float:
        """The value of a ``/metrics`` counter."""
        wanted = f"{name}{{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"
        for line in self.http.get("/metrics").text.splitlines():
            if line.startswith(wanted):
                return float(line.split()[-1])
        return 0.0


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def seconds_until(condition: Callable[[], bool], limit: float = 20.0) -> float:
    """The ``quiet_time`` until ``condition`` is true; fails after ``limit``."""
    began = quiet_time()
    while not condition():
        time.sleep(0.005)
        assert quiet_time() - began < limit, "it never happened"
    return quiet_time() - began
