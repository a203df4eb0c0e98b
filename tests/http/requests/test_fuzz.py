"""Random JSON sent to every route returns the envelope, and never a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.application import App, running
from tests.support.envelope import check_headers, check_refusal
from tests.support.matrix import few_and_many, matrix
from tests.support.rounds import repeated
from tests.support.routes import ROUTES, Route, filled

pytestmark = pytest.mark.one_store

EXAMPLES = few_and_many(4, repeated(40, 12))
WRITING = [route for route in ROUTES if route.method in ("POST", "PATCH", "PUT")]
GRAPHQL, OAUTH = "/api/client/graphql", "/oauth2/"
FOR_BROWSERS = ("/o/{client}/authorize", "/o/{client}/logout")
#: Members of nested objects, and of routes that parse their own bodies.
OTHERS = ("query", "variables", "operationName", "settings", "minLength")

texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "acme", "Admin", "a@b.example", "A" * 300, "\x00", "%", "'", "\u202e", "ı@K.example", "-1"]),
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), texts)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@pytest.fixture(scope="module")
async def unlimited(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_RATE_LIMITS="off") as app:
        yield app


def address(path: str, known: bool) -> str:
    return filled(path, client="globex", user=8) if known else filled(path, user=0)


def bodies(route: Route) -> st.SearchStrategy[bytes]:
    """Objects that mostly have the route's members, values of every kind, and bytes that aren't JSON."""
    objects = st.dictionaries(st.sampled_from([*route.members, *OTHERS]) | texts, values, max_size=6)
    dumped = st.one_of(objects, values).map(lambda value: json.dumps(value).encode())
    mangled = st.tuples(dumped, st.integers(0, 200), st.binary(max_size=3)).map(
        lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
    )
    return st.one_of(dumped, dumped, mangled, st.binary(max_size=60))


@matrix("examples", EXAMPLES)
@matrix("route", WRITING)
async def test_no_body_is_a_bug(unlimited: App, route: Route, examples: int) -> None:
    loop = asyncio.get_running_loop()
    token = None
    if route.who == "client":
        token = (await unlimited.sign_in("viewer@acme.example")).data["token"]
    elif route.who == "admin":
        token = await unlimited.admin_token()

    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
    @given(body=bodies(route), known=st.booleans())
    def throw(body: bytes, known: bool) -> None:
        sending = unlimited.send(route.method, address(route.path, known), content=body, token=token)
        check(asyncio.run_coroutine_threadsafe(sending, loop).result(30))

    def check(reply: Any) -> None:
        if not route.path.startswith(FOR_BROWSERS):
            check_headers(reply)
        assert reply.status < 500, reply.text
        if route.path == GRAPHQL and reply.status != 401:
            assert ("data" in reply.json) or reply.json["errors"][0]["extensions"]["requestId"]
        elif route.path.startswith(FOR_BROWSERS):
            assert reply.media_type == "text/html"
        elif route.path.startswith((OAUTH, "/o/")):
            assert set(reply.json) == {"error", "error_description", "request_id"}
        elif route.path.startswith("/scim/"):
            assert reply.json["status"] == str(reply.status)
        elif reply.status >= 400 and route.path != GRAPHQL:
            check_refusal(reply, reply.status, reply.code)
        else:
            assert reply.json.get("success") is True or route.path == GRAPHQL

    await asyncio.to_thread(throw)
