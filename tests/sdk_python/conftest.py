"""Fixtures of the library's tests: the real server for the suite, and its description."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from joserfc.jwk import ECKey

from manifest_auth.app import ROUTES
from tests.processes.node_client import AUTH, Node
from tests.support.server import DEMO_PASSWORD, start, stop

collect_ignore = ["suite"]  # it runs in a separate environment
GUARDED = "guarded@acme.example"
EXPIRED = 40  # sessions with an expired access token; each test takes one
_FAR = 4_000_000_000.0
#: The suite's contract for machines runs against the server if it has OAuth for service accounts.
HAS_MACHINES = any(route.path == "/oauth2/token" for route in ROUTES)


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server with demo data, as variables for the suite."""
    folder = tmp_path_factory.mktemp("server")
    settings: dict[str, Any] = {"MANIFEST_RATE_LIMITS": "off", "MANIFEST_REFRESH_GRACE": "1"}
    before = start(folder, database_url, **settings, MANIFEST_ACCESS_TOKEN_TTL="1")
    pairs = [Node(before).sign_in() for _ in range(EXPIRED)]
    stop(before)
    running = start(folder, database_url, port=before.port, **settings)
    time.sleep(1)  # the first server's tokens have expired
    expired = [
        {
            "base_url": running.base,
            "access_token": pair["token"],
            "refresh_token": pair["refreshToken"],
            "expires_at": _FAR,
            "renew_at": _FAR,
        }
        for pair in pairs
    ]
    given: dict[str, Any] = {"base_url": running.base, "expired": expired, "proofs": _second_factor(Node(running))}
    if HAS_MACHINES:
        given["service"] = _machine(Node(running))
    yield {"SDK_SERVER": json.dumps(given)}
    stop(running)


def _machine(node: Node) -> dict[str, Any]:
    """Create a service account with every kind of credential."""
    token = node.sign_in("admin@acme.example")["token"]
    key = ECKey.generate_key("P-256", {"kid": "one"})
    jwks = {"keys": [key.as_dict(private=False)]}
    body = {"name": "robot", "roles": ["Viewer"], "scopes": ["users:read", "jobs:read"], "mayIntrospect": True}
    base = "/api/client/service-accounts"
    made = node.post(base, {**body, "jwks": jwks}, token=token).json()["data"]
    return {
        "client_id": made["oauthClientId"],
        "key": node.post(f"{base}/{made['id']}/keys", {}, token=token).json()["data"]["key"],
        "secret": node.post(f"{base}/{made['id']}/secrets", {}, token=token).json()["data"]["secret"],
        "private_key": key.as_dict(private=True),
    }


def _second_factor(node: Node) -> list[dict[str, str]]:
    """Add a user with an authenticator app; returns codes for that factor."""
    body = {"email": GUARDED, "password": DEMO_PASSWORD, "roles": ["Viewer"], "firstName": "G", "lastName": "D"}
    node.admin("POST", "/clients/acme/users", body)
    token = node.sign_in(GUARDED)["token"]
    secret = node.post(f"{AUTH}/second-factors/totp", {}, token=token).json()["data"]["secret"]
    confirmed = node.post(f"{AUTH}/second-factors/totp/confirm", {"otp": pyotp.TOTP(secret).now()}, token=token)
    assert confirmed.status_code == 200, confirmed.text
    return [{"recoveryCode": code} for code in confirmed.json()["data"]["recoveryCodes"]]
