"""Invalid GraphQL requests over HTTP, and the statuses that they get."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.application import App, Reply
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

PATH = "/api/client/graphql"
QUERY = "{ me { id } }"
GRAPHQL = "application/graphql-response+json"


@pytest.fixture
async def token(app: App) -> str:
    return str((await app.sign_in(client="acme")).data["token"])


def code_of(reply: Reply) -> str:
    assert set(reply.json) == {"errors"}, reply.text
    error = reply.json["errors"][0]
    assert error["extensions"]["requestId"] == reply.headers["x-request-id"]
    return str(error["extensions"]["code"])


WRONG_BODIES: list[Any] = [
    [{"query": QUERY}],  # a batch
    [],
    "text",
    1,
    None,
    {},
    {"query": None},
    {"query": ""},
    {"query": 1},
    {"query": [QUERY]},
    {"query": {"a": 1}},
    {"query": QUERY, "variables": "{}"},
    {"query": QUERY, "variables": [1]},
    {"query": QUERY, "variables": 0},
    {"query": QUERY, "operationName": 1},
    {"query": QUERY, "operationName": ["a"]},
    {"query": QUERY, "operationName": {}},
    {"query": QUERY, "extensions": "x"},
    {"query": QUERY, "extensions": []},
    {"query": QUERY, "extensions": False},
    {"query": QUERY, "variables": {"a": "\0"}},
    {"query": QUERY, "variables": {"a": "\ud800"}},
    {"query": "\ud800"},
]


@rule("GRAPHQL-LIMITS")
@matrix("body", WRONG_BODIES)
@matrix("accept", ["application/json", GRAPHQL])
async def test_an_invalid_request_is_400(app: App, token: str, body: Any, accept: str) -> None:
    reply = await app.post(PATH, content=json.dumps(body).encode(), token=token, headers={"Accept": accept})
    assert (reply.status, code_of(reply)) == (400, "BAD_USER_INPUT")
    assert reply.headers["content-type"] == f"{accept}; charset=utf-8"


@rule("GRAPHQL-HTTP")
@matrix(
    "content",
    [
        b"",
        b"{",
        b'{"query"',
        b"\xff\xfe",
        b'{"query":"{me{id}}"}{}',
        b'{"query":"{me{id}}","query":"{me{id}}"}',
        b'{"query":"{me{id}}","variables":{"a":1,"a":2}}',
        b'{"query":"{me{id}}","variables":{"a":NaN}}',
        b'{"query":"{me{id}}","variables":{"a":1e999}}',
        b'{"query":"{me{id}}","variables":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
        b"[" * 100_000,
    ],
)
async def test_bad_json_is_400(app: App, token: str, content: bytes) -> None:
    reply = await app.post(PATH, content=content, token=token)
    assert (reply.status, code_of(reply)) == (400, "BAD_USER_INPUT")


@matrix("kind", ["text/plain", "application/graphql", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_other_media_types_are_415(app: App, token: str, kind: str) -> None:
    content = json.dumps({"query": QUERY}).encode()
    reply = await app.post(PATH, content=content, token=token, headers={"Content-Type": kind})
    assert (reply.status, code_of(reply)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_over_one_mebibyte_is_413(app: App, token: str) -> None:
    content = json.dumps({"query": QUERY, "variables": {"a": "x" * 1024 * 1024}}).encode()
    reply = await app.post(PATH, content=content, token=token)
    assert (reply.status, code_of(reply)) == (413, "PAYLOAD_TOO_LARGE")


@matrix(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        (GRAPHQL, GRAPHQL),
        (GRAPHQL.upper(), GRAPHQL),
        (f"{GRAPHQL}; charset=utf-8, application/json; charset=utf-8", GRAPHQL),
        (f"application/json, {GRAPHQL}", GRAPHQL),
        (f"{GRAPHQL};q=0", "application/json"),
        (f"{GRAPHQL};q=0.0, */*", "application/json"),
        (f"{GRAPHQL};q=0.5, application/json", "application/json"),
        (f"{GRAPHQL};q=0.5, application/json;q=0.4", GRAPHQL),
        (f"{GRAPHQL};q=oops", "application/json"),
    ],
)
async def test_the_media_type_is_what_the_client_prefers(app: App, token: str, accept: str, kind: str) -> None:
    reply = await app.graphql(QUERY, token, headers={"Accept": accept})
    assert reply.json["data"]
    assert reply.headers["content-type"] == f"{kind}; charset=utf-8"


@matrix("query", ["{", "{ me }", "{ nothing }", "query Q($a: Int!) { users(first: $a) { id } }"])
async def test_a_document_that_cannot_run_is_400_in_the_new_media_type_alone(app: App, token: str, query: str) -> None:
    old = await app.graphql(query, token)
    new = await app.graphql(query, token, headers={"Accept": GRAPHQL})
    assert (old.status, new.status) == (200, 400)
    for reply in (old, new):
        assert code_of(reply) == "BAD_USER_INPUT"
        assert reply.json["errors"][0]["locations"]


@matrix("value", ["x", 1.5, True, [], {}, 2**40, None])
async def test_variables_that_do_not_fit_are_rejected_before_anything_runs(app: App, token: str, value: Any) -> None:
    body = {"query": "query Q($n: Int!) { users(first: $n) { id } }", "variables": {"n": value}}
    reply = await app.post(PATH, body, token=token, headers={"Accept": GRAPHQL})
    assert (reply.status, code_of(reply)) == (400, "BAD_USER_INPUT")


async def test_operations_are_chosen_by_name(app: App, token: str) -> None:
    query = "query A { me { id } } query B { users { id } }"
    for name, field in (("A", "me"), ("B", "users")):
        reply = await app.post(PATH, {"query": query, "operationName": name}, token=token)
        assert list(reply.json["data"]) == [field]
    for unknown in (None, "", "C"):
        reply = await app.post(PATH, {"query": query, "operationName": unknown}, token=token)
        assert code_of(reply) == "BAD_USER_INPUT", unknown


async def test_queries_also_run_by_get(app: App, token: str) -> None:
    values = {"query": "query Q($n: Int) { users(first: $n) { id } }", "variables": '{"n":2}', "operationName": "Q"}
    reply = await app.get(f"{PATH}?{urlencode(values)}", token=token)
    assert reply.status == 200
    assert len(reply.json["data"]["users"]) == 2
    assert reply.headers["cache-control"] == "no-store"


@rule("GET-CHANGES-NOTHING", "GRAPHQL-HTTP")
@matrix("accept", ["application/json", GRAPHQL])
@matrix("query", ["mutation { me { id } }", "mutation M { x } query Q { me { id } }"])
async def test_mutations_never_run_by_get(app: App, token: str, query: str, accept: str) -> None:
    values = {"query": query} | ({"operationName": "M"} if " M " in query else {})
    reply = await app.get(f"{PATH}?{urlencode(values)}", token=token, headers={"Accept": accept})
    assert (reply.status, code_of(reply)) == (405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"] == "POST"


@matrix(
    "query",
    [
        "",
        "query=",
        "variables={}",
        f"query={QUERY}&query={QUERY}",
        f"query={QUERY}&variables=x",
        f"query={QUERY}&variables=[]",
        f"query={QUERY}&variables=%FF",
        f"query={QUERY}&extensions=1",
        f"query={QUERY}%00",
    ],
)
async def test_a_get_that_is_no_request_is_400(app: App, token: str, query: str) -> None:
    reply = await app.get(f"{PATH}?{query}", token=token)
    assert (reply.status, code_of(reply)) == (400, "BAD_USER_INPUT")


@matrix(
    ("value", "message"),
    [("x", "The parameter variables isn't valid JSON"), ('{"a":1e999}', "A number is out of range")],
)
async def test_a_parameter_that_is_no_json_is_named(app: App, token: str, value: str, message: str) -> None:
    reply = await app.get(f"{PATH}?{urlencode({'query': QUERY, 'variables': value})}", token=token)
    assert reply.json["errors"][0]["message"] == message


@matrix("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_405(app: App, token: str, method: str) -> None:
    reply = await app.send(method, PATH, token=token)
    assert reply.status == 405
    assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
