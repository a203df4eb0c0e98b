"""A client with its own OpenID provider, and sign-ins through it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.processes.node_client import AUTH, bearer
from tests.support.oidc_op import Op
from tests.support.server import DEMO_PASSWORD

RETURN_TO = "https://app.acme.example/in"
_numbers = itertools.count(1)


@dataclass
class Team:
    """``base`` is a node's address; ``issuer`` is the provider's, if not ``op``'s."""

    base: str
    op: Op
    issuer: str = ""
    client: str = field(default_factory=lambda: f"team-{next(_numbers)}")

    def __post_init__(self) -> None:
        self._admin("", {"identifier": self.client, "name": self.client})
        self.add("op", self.issuer or self.op.issuer)

    def add(self, name: str, issuer: str) -> None:
        """Add another provider."""
        known = {"issuer": issuer, "clientId": self.op.client_id, "clientSecret": self.op.client_secret}
        everybody = {"createUsers": True, "defaultRoles": ["Viewer"], "returnAddresses": [RETURN_TO]}
        self._admin(f"/{self.client}/providers", {"name": name, "oidc": known, **everybody})

    def _admin(self, path: str, body: dict[str, Any]) -> None:
        given = {"username": "admin", "password": DEMO_PASSWORD}
        signed_in = httpx2.post(f"{self.base}/api/admin/auth/sign-in", json=given, timeout=30)
        token = signed_in.json()["data"]["token"]
        url = f"{self.base}/api/admin/clients{path}"
        answer = httpx2.post(url, json=body, headers=bearer(token), timeout=30)
        assert answer.status_code == 201, answer.text

    def start(self, provider: str = "op") -> httpx2.Response:
        """The response to a browser that starts a sign-in there."""
        asked = {"client": self.client, "provider": provider}
        return httpx2.get(f"{self.base}{AUTH}/oidc", params=asked, timeout=30)

    def begun(self) -> tuple[str, dict[str, str]]:
        """A browser that returns from the provider: the path of our callback with its query, and the cookies."""
        answer = self.start()
        assert answer.status_code == 302, answer.text
        url = urlsplit(self.op.visit(answer.headers["location"]))
        return f"{url.path}?{url.query}", dict(answer.cookies)

    def ended(self, path: str, cookies: dict[str, str]) -> httpx2.Response:
        """The response to that browser when it returns."""
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        return httpx2.get(f"{self.base}{path}", headers=sent, timeout=30)
