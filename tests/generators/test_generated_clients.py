"""Clients generated from a running server's descriptions compile with strict types, and work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generators.workshop import Workshop, python, typescript
from tests.support.server import Server, served

pytestmark = [
    pytest.mark.needs("curl", "node", "npm"),
    pytest.mark.endurance,
    pytest.mark.timeout(600),
]  # the first test can wait for a download
DEMO = ["admin@acme.example", "user-admin@acme.example", "author@acme.example"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("server"), MANIFEST_INTROSPECTION="off") as started:
        yield started


def test_openapi_typescript(tmp_path: Path, server: Server) -> None:
    made = typescript(tmp_path, server, "TypeScript, REST")
    made.follow()
    made.add("use_rest.ts")
    made.run("tsc", "-p", ".")
    assert made.given_by("node", "out/use_rest.js") == {
        "sessions": 1, "renamed": "Ada", "wrongPassword": "INVALID_CREDENTIALS", "wrongName": "firstName",
    }  # fmt: skip


def test_graphql_code_generator(tmp_path: Path, server: Server) -> None:
    made = typescript(tmp_path, server, "TypeScript, GraphQL")
    made.follow()
    made.add("use_graphql.ts")
    made.run("tsc", "-p", ".")
    assert made.given_by("node", "out/use_graphql.js") == {
        "me": DEMO[0], "users": DEMO, "made": "Pump", "refused": [["BAD_USER_INPUT", ["name", "description"]]],
    }  # fmt: skip


def test_openapi_python_client(tmp_path: Path, server: Server) -> None:
    program = python()
    made = Workshop(tmp_path, server, "Python, REST", program.parent)
    made.follow()
    made.add("use_rest.py")
    made.picture("picture.png")
    made.run("mypy", "--strict", "use_rest.py")
    found = made.given_by(str(program), "use_rest.py")
    assert found.pop("sessions") > 0
    assert found == {
        "me": "author@acme.example", "elsewhere": "FORBIDDEN", "renamed": "Ada", "uploaded": 201,
        "wrongPassword": "INVALID_CREDENTIALS", "wrongName": "['firstName']",
    }  # fmt: skip


def test_ariadne_codegen(tmp_path: Path, server: Server) -> None:
    program = python()
    made = Workshop(tmp_path, server, "Python, GraphQL", program.parent)
    made.follow()
    made.add("use_graphql.py")
    made.run("mypy", "--strict", "use_graphql.py")
    found = made.given_by(str(program), "use_graphql.py")
    assert found.pop("users")[:3] == DEMO
    assert found == {"me": DEMO[0], "made": "Pump", "refused": "['BAD_USER_INPUT']"}


def test_redocly_finds_nothing_in_the_description(tmp_path: Path, server: Server) -> None:
    made = typescript(tmp_path, server, "TypeScript, REST")
    made.run("curl", "-sf", f"{server.base}/openapi.json", "-o", "openapi.json")
    found = made.given_by("redocly", "lint", "--extends=recommended", "--format=json", "openapi.json")
    assert found["problems"] == []
    assert found["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}
