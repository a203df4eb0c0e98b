"""GraphQL requests that ask for too much are rejected before they use resources."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from graphql import parse

from tests.support.application import App
from tests.support.cost import times_as_dear
from tests.support.matrix import matrix, some_of

pytestmark = pytest.mark.one_store

#: Rejecting a document costs less than parsing the longest allowed document twice, and executes nothing.
MOST, LONGEST = 2.0, "{ " + "id " * 1998 + "}"
PATH = "/api/client/graphql"


def repeat(count: int, text: str) -> str:
    """Repeat ``text`` this many times, replacing ``#`` by the number."""
    return " ".join(text.replace("#", str(number)) for number in range(count))


def nested(count: int, opening: str, inside: str, closing: str) -> str:
    return f"{opening * count}{inside}{closing * count}"


def chain(count: int, spreads: int) -> str:
    """Fragments that each spread the next one ``spreads`` times."""
    made = [f"fragment F{number} on Job {{ {f'...F{number + 1} ' * spreads}}}" for number in range(count)]
    return " ".join([*made, f"fragment F{count} on Job {{ id name }}"])


#: Documents.
DOCUMENTS = {
    "aliases of one field": "{ me { " + repeat(1000, "a#: id") + " } }",
    "aliases at the root": "{ " + repeat(1000, "a#: me { id }") + " }",
    "aliases of mutations": "mutation { " + repeat(500, "a#: startJob(id: #) { id }") + " }",
    "aliases in aliases": "{ " + repeat(20, "a#: job(id: 1) { " + repeat(20, "b#: id") + " }") + " }",
    "aliases in a fragment": "{ me { ...F } } fragment F on Me { " + repeat(600, "a#: id") + " }",
    "1,000 repeated fields": "{ me { " + "id " * 1000 + "} }",
    "1,000 repeated objects": "{ me { " + "client { id } " * 480 + "} }",
    "1,000 repeated fields at the root": "{ " + "__typename " * 1000 + "}",
    "1,000 repeated spreads": "{ me { " + "...F " * 900 + "} } fragment F on Me { id }",
    "1,000 fragments": "{ me { id } } " + repeat(380, "fragment F# on Me { id }"),
    "10,000 tokens": "{ me { " + "id " * 10_000 + "} }",
    "10,000 tokens in arguments": "{ users(first: [" + "1 " * 10_000 + "]) { id } }",
    "10,000 tokens in variables": "query(" + repeat(2500, "$a#: Int") + ") { me { id } }",
    "10,000 signs": "{ me " + "{ " * 10_000,
    "10,000 comments": "#\n" * 10_000 + "{ me { id } }",
    "10,000 texts": "{ users(first: [" + '"" ' * 10_000 + "]) { id } }",
    "a long document": "{ me { id } } " + "," * 1_000_000,
    "a long text": '{ users(filter: {search: "' + "x" * 900_000 + '"}) { id } }',
    "a long text of escapes": '{ users(filter: {search: "' + "\\u0041" * 140_000 + '"}) { id } }',
    "a text that does not end": '{ users(filter: {search: "' + '\\"' * 250_000,
    "a block that does not end": '{ users(filter: {search: """' + '\\"""' * 8000,
    "deep fragments": "{ job(id: 1) { template { ...F0 } } } "
    + " ".join(f"fragment F{n} on Template {{ latestVersion {{ template {{ ...F{n + 1} }} }} }}" for n in range(18))
    + " fragment F18 on Template { id }",
    "doubling fragments": "{ job(id: 1) { ...F0 } } " + chain(18, 2),
    "tenfold fragments": "{ job(id: 1) { ...F0 } } " + chain(8, 10),
    "deep fields": "{ job(id: 1) " + nested(300, "{ template { latestVersion ", "{ id }", " } }") + " }",
    "deep inline fragments": "{ " + nested(600, "... { ", "me { id }", " }") + " }",
    "deep lists": "{ users(first: " + nested(900, "[", "1", "]") + ") { id } }",
    "deep objects": "{ users(filter: " + nested(600, "{search: ", "1", "}") + ") { id } }",
    "deep types": "query($a: " + nested(900, "[", "Int", "]") + ") { me { id } }",
    "a cycle": "{ job(id: 1) { ...A } } fragment A on Job { id ...A }",
    "a cycle of two": "{ job(id: 1) { ...A } } fragment A on Job { ...B } fragment B on Job { ...A }",
    "a cycle through fields": "{ job(id: 1) { ...A } } fragment A on Job { newerVersion { template { ...B } } } "
    "fragment B on Template { latestVersion { template { ...B } } }",
    "a cycle that is not used": "{ me { id } } fragment A on Job { ...B } fragment B on Job { ...A }",
    "all with all": "{ job(id: 1) { ...F0 } } "
    + " ".join(f"fragment F{n} on Job {{ {' '.join(f'...F{m}' for m in range(19))} }}" for n in range(19)),
    "differing arguments": "{ " + repeat(20, "jobs(first: #) { id }") + " }",
    "directives": "{ me { id " + "@include(if: true) " * 300 + "} }",
    "unknown directives": "{ me { id " + "@a " * 900 + "} }",
    "arguments": "{ users(" + repeat(400, "a#: 1") + ") { id } }",
    "introspection": "{ " + repeat(20, "a#: __schema { types { name fields { name } } }") + " }",
    "introspection in circles": "{ __schema { types { fields { type { fields { type { fields { name } } } } } } }",
    "what costs too much": "{ jobs(first: 100) { steps { records { number } } } }",
}
ADD_JOB = "mutation($input: AddJobInput!) { addJob(input: $input) { id } }"
ADD_TEMPLATE = "mutation($input: AddTemplateInput!) { addTemplate(input: $input) { id } }"
SET_ROLES = "mutation($roles: [String!]!) { setUserRoles(userId: 1, roles: $roles) { id } }"
LIST = "query($first: Int) { users(first: $first) { id } }"


def many(count: int, value: str) -> str:
    return f"[{','.join([value] * count)}]"


def users(count: int) -> str:
    return '{"input":{"templateId":1,"assignedUserIds":' + many(count, "1") + "}}"


def given_steps(count: int, step: str) -> str:
    return '{"input":{"name":"x","steps":' + many(count, step) + "}}"


def members(count: int) -> str:
    return "{" + ",".join(f'"a{number}":1' for number in range(count)) + "}"


def first(value: str) -> str:
    return '{"first":' + value + "}"


#: A document, and its variables as JSON.
VARIABLES = {
    "100,000 users": (ADD_JOB, users(100_000)),
    "500,000 users": (ADD_JOB, users(500_000)),
    "60,000 steps": (ADD_TEMPLATE, given_steps(60_000, '{"title":"x"}')),
    "100,000 empty steps": (ADD_TEMPLATE, given_steps(100_000, "{}")),
    "100,000 steps that are none": (ADD_TEMPLATE, given_steps(100_000, "null")),
    "100,000 roles": (SET_ROLES, '{"roles":' + many(100_000, '"Viewer"') + "}"),
    "80,000 members": (ADD_TEMPLATE, '{"input":' + members(80_000) + "}"),
    "80,000 variables": (LIST, members(80_000)),
    "variables that are not used": ("{ me { id } }", '{"a":' + many(300_000, "[]") + "}"),
    "33 levels": (LIST, first("[" * 33 + "]" * 33)),
    "100,000 levels": (LIST, first("[" * 100_000 + "]" * 100_000)),
    "many levels of many": (LIST, first("[" * 28 + many(100_000, "[]") + "]" * 28)),
    "a number of a million digits": (LIST, first("9" * 1_000_000)),
    "a text instead of a number": (LIST, first('"' + "x" * 1_000_000 + '"')),
    "a text of escapes": (LIST, first('"' + "\\u0041" * 170_000 + '"')),
    "a text of quotes and commas": (LIST, first('"' + '\\",[{' * 120_000 + '"')),
    "a text that does not end": (LIST, '{"first":"' + '\\",' * 300_000),
}


@pytest.fixture(scope="module")
async def token(app: App) -> str:
    """An access token of a user with all permissions."""
    return str((await app.sign_in("admin@acme.example")).data["token"])


async def asked(app: App, token: str, body: bytes) -> tuple[int, Any]:
    """The status and body from the application itself, since a client would cost more than the measured operation."""
    lines = {"host": "127.0.0.1:8080", "content-type": "application/json", "content-length": str(len(body)),
             "authorization": f"Bearer {token}", "accept": "application/graphql-response+json"}  # fmt: skip
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": PATH, "raw_path": PATH.encode(),
        "query_string": b"", "scheme": "http", "client": ("192.0.2.1", 40000), "server": ("127.0.0.1", 8080),
        "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
    }  # fmt: skip
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await app.application(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(message["body"] for message in sent[1:]))


async def parse_the_longest() -> None:
    parse(LONGEST)


async def check_refused(app: App, token: str, body: bytes) -> None:
    async def refused() -> None:
        status, answer = await asked(app, token, body)
        assert (status, set(answer)) == (400, {"errors"}), answer
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}

    assert await times_as_dear(refused, parse_the_longest, under=MOST) < MOST


@matrix("name", some_of(DOCUMENTS, *list(DOCUMENTS)[::4]))
async def test_documents(app: App, token: str, name: str) -> None:
    await check_refused(app, token, json.dumps({"query": DOCUMENTS[name]}).encode())


@matrix("name", VARIABLES)
async def test_variables(app: App, token: str, name: str) -> None:
    document, variables = VARIABLES[name]
    body = f'{{"query":{json.dumps(document)},"variables":{variables}}}'.encode()
    await check_refused(app, token, body)


def steps(count: int) -> dict[str, Any]:
    return {"name": "Long", "steps": [{"title": "x", "instructions": "a, [b], {c}", "requiresEvidence": True}] * count}


async def test_large_useful_documents_are_accepted(app: App, token: str) -> None:
    """All steps of two versions, and instructions with many commas."""
    pair = (
        "mutation($a: AddTemplateInput!, $b: AddTemplateInput!) "
        "{ a: addTemplate(input: $a) { id } b: addTemplate(input: $b) { id } }"
    )
    reply = await app.post(PATH, {"query": pair, "variables": {"a": steps(200), "b": steps(200)}}, token=token)
    assert all(made["id"] for made in reply.json["data"].values())
    long = {"name": "Long", "steps": [{"title": "x", "instructions": "a, [b], {c}, " * 380}] * 200}
    reply = await app.post(PATH, {"query": ADD_TEMPLATE, "variables": {"input": long}}, token=token)
    assert reply.json["data"]["addTemplate"]["id"]
