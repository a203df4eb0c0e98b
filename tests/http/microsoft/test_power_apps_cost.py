"""A request with a cached Entra ID token executes at most a quarter more instructions than one with our token."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import GRAPHQL, MicrosoftSetup
from tests.support.application import App
from tests.support.cost import instructions
from tests.support.matrix import matrix
from tests.support.people import member

pytestmark = pytest.mark.one_store

LIMIT = 1.25
ME = ("GET", "/api/client/auth/me", b"")
QUERY = ("POST", GRAPHQL, json.dumps({"query": "{ me { id email roles { name } } }"}).encode())


async def one(app: App, token: str, request: tuple[str, str, bytes]) -> None:
    """Send a request as the web server passes it on, because an in-process client would execute more than the
    application."""
    method, path, body = request
    lines = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {token}".encode())]
    if body:
        lines += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": lines, "client": ("192.0.2.1", 40000),
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    await app.application(scope, receive, send)
    assert sent[0]["status"] == 200


@matrix("request_", [ME, QUERY], ids=["REST", "GraphQL"])
@matrix("kind", ["graph", "api", "api-v1"])
async def test_it_costs_little_more_than_our_own(
    setup: MicrosoftSetup, kind: str, request_: tuple[str, str, bytes]
) -> None:
    provider = await setup.entra_of_ours()
    bob = await member(setup.app, provider.client)
    token = setup.microsoft.mint(kind, claims={"groups": [f"{number:036}" for number in range(20)]})
    for shown in (token, bob.token):
        await one(setup.app, shown, request_)
    calls = len(setup.microsoft.asked)
    theirs, ours = [await instructions(partial(one, setup.app, shown, request_)) for shown in (token, bob.token)]
    assert theirs < LIMIT * ours
    assert len(setup.microsoft.asked) == calls
