"""Unmodified third-party OAuth clients use discovery, get tokens in both ways, introspect, and revoke.

The server is a separate process, and the accounts are created and disabled at another node.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from authlib.integrations.requests_client import OAuth2Session

from tests.architecture import docs_pages
from tests.interop.providers import install
from tests.processes.node_client import seconds_until
from tests.support.application import App, running
from tests.support.client_assertions import KID, ec_key, public_set, rsa_key
from tests.support.matrix import matrix
from tests.support.oauth_callers import Machine, machine
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, Server, served

pytestmark = pytest.mark.one_store

PACKAGE = {"type": "module", "dependencies": {"oauth4webapi": "3.8.8"}}
NODE = "install Node.js 20 or newer"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("oauth"), database_url) as running_server:
        yield running_server


@pytest.fixture(scope="module")
async def node(server: Server, database_url: str) -> AsyncIterator[App]:
    """Another node of the same installation, in this process."""
    async with running(database_url, MANIFEST_PUBLIC_URL=server.base) as app:
        app.clock.ms, app.root = int(time.time() * 1000), "admin"
        yield app


async def new(node: App, name: str, **given: Any) -> Machine:
    return await machine(node, "acme", name, mayIntrospect=True, **given)


def asked(server: Server, path: str, token: str) -> int:
    """The status of the server's response to a caller with a token."""
    request = urllib.request.Request(f"{server.base}{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def oauth4webapi(server: Server, client_id: str, program: str = "client.mjs", **given: Any) -> dict[str, Any]:
    folder = install.npm("oauth4webapi", PACKAGE)
    shutil.copy(Path(__file__).parent / program, folder)
    shown = {"issuer": server.base, "clientId": client_id, **given}
    done = subprocess.run(
        [install.program("node", NODE), program], cwd=folder, env={**os.environ, "GIVEN": json.dumps(shown)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check_whole_round(found: dict[str, Any], server: Server, who: Machine) -> None:
    assert found["server"]["issuer"] == server.base
    assert (found["claims"]["sub"], found["claims"]["client"]) == (who.client_id, "acme")
    assert (found["before"]["active"], found["before"]["sub"]) == (True, who.client_id)
    assert (found["used"], found["then"]) == (200, 401)
    assert found["after"] == {"active": False}


async def test_oauth4webapi_with_a_secret(server: Server, node: App) -> None:
    who = await new(node, "by-secret")
    found = oauth4webapi(server, who.client_id, secret=who.secret, scope="jobs:read")
    check_whole_round(found, server, who)
    assert found["tokens"]["scope"] == found["before"]["scope"] == "jobs:read"


@matrix("algorithm", ["ES256", "PS256", "RS256"])
async def test_oauth4webapi_with_a_key_pair(server: Server, node: App, algorithm: str) -> None:
    who = await new(node, f"by-{algorithm.lower()}")
    key = ec_key() if algorithm == "ES256" else rsa_key()
    await who.send("PATCH", "", {"jwks": public_set(key)})
    private = key.as_dict(private=True)
    check_whole_round(oauth4webapi(server, who.client_id, key=private, kid=KID, algorithm=algorithm), server, who)


async def test_oauth4webapi_as_the_app_of_a_headset(server: Server, node: App) -> None:
    rules = {"settings": {"pairing": {"code": True}}}
    assert (await node.send("PATCH", "/api/admin/clients/acme", rules, token=await node.admin_token())).status == 200
    person = (await node.sign_in("operator@acme.example", DEMO_PASSWORD, "acme")).data["token"]
    found = oauth4webapi(server, "manifest.acme", "device.mjs", person=person)
    assert (found["pending"], found["approved"]) == ("authorization_pending", 200)
    assert found["tokens"]["token_type"] == "bearer"
    assert found["before"]["status"] == 200
    assert (found["before"]["data"]["session"]["method"], found["before"]["data"]["roles"]) == ("device", ["Operator"])
    assert found["then"] == 401


def as_printed(server: Server, who: Machine) -> dict[str, Any]:
    """The result of the page's Authlib example, run with this server, account, and ``private.pem``."""
    [printed] = [block for page, block in docs_pages.blocks("python") if "PrivateKeyJWT" in block]
    left: dict[str, Any] = {}
    exec(printed.replace("https://auth.example.com", server.base).replace("svc_42", who.client_id), left)
    return left


async def test_authlib_with_a_key_pair_as_printed(
    server: Server, node: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await new(node, "private-key-jwt")
    monkeypatch.chdir(tmp_path)
    Path("private.pem").write_bytes(ec_key().as_pem(private=True))
    left = as_printed(server, who)
    session, first = left["session"], left["token"]["access_token"]
    assert (left["answer"].status_code, left["answer"].json()["data"]["service"]["id"]) == (200, who.id)
    assert asked(server, "/api/client/auth/me", first) == 401
    second = session.fetch_token(f"{server.base}/oauth2/token", grant_type="client_credentials")["access_token"]
    assert asked(server, "/api/client/auth/me", second) == 200
    shown = session.introspect_token(f"{server.base}/oauth2/introspect", second)
    assert (shown.status_code, shown.json()["sub"]) == (200, who.client_id)
    assert session.revoke_token(f"{server.base}/oauth2/revoke", second).status_code == 200
    assert asked(server, "/api/client/auth/me", second) == 401


async def test_authlib_with_a_secret(server: Server, node: App) -> None:
    who = await new(node, "client-secret-basic")
    metadata = json.load(urllib.request.urlopen(f"{server.base}/.well-known/oauth-authorization-server", timeout=60))
    session = OAuth2Session(who.client_id, who.secret, token_endpoint_auth_method="client_secret_basic")
    token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 900)
    assert asked(server, "/api/client/auth/me", token["access_token"]) == 200


@rule("SERVICE-TOKEN-SCOPE")
async def test_a_disabled_account_is_rejected_at_the_other_process_within_a_second(server: Server, node: App) -> None:
    who = await new(node, "disabled")
    session = OAuth2Session(who.client_id, who.secret, token_endpoint_auth_method="client_secret_basic")
    token = session.fetch_token(f"{server.base}/oauth2/token", grant_type="client_credentials")["access_token"]
    assert asked(server, "/api/client/auth/me", token) == 200
    await who.send("POST", "/disable")
    assert seconds_until(lambda: asked(server, "/api/client/auth/me", token) == 401) < 1
