"""Errors while a GraphQL query runs: bugs are masked, rejections and a lost database are named, slow queries end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from manifest_auth.accounts import users
from manifest_auth.api.graphql import execution
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.permissions import HOLDERS, Permission, allowed, permissions_of
from manifest_auth.store import StoreUnavailable
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.rules import rule

QUERY = "{ me { id } users { id email } }"


def raising(error: Exception) -> Any:
    def work(*_arguments: Any, **_options: Any) -> Any:
        raise error

    return work


@pytest.fixture
async def token(app: App) -> str:
    return str((await app.sign_in(client="acme")).data["token"])


@rule("GRAPHQL-ERRORS")
async def test_a_bug_is_masked_and_logged_with_the_request_id(
    app: App, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(users.LISTING, "page", raising(RuntimeError("secret detail in /srv/app.py")))
    monkeypatch.setattr(app.services, "log", Log(logged))
    reply = await app.graphql(QUERY, token)
    assert reply.status == 200
    assert reply.json["data"]["users"] is None
    assert reply.json["data"]["me"]["id"]  # successful fields are returned
    [error] = reply.json["errors"]
    request_id = reply.headers["x-request-id"]
    assert error == {
        "message": "Internal error",
        "path": ["users"],
        "extensions": {"code": "INTERNAL_ERROR", "requestId": request_id},
    }
    assert "secret" not in reply.text
    [entry] = [entry for entry in logged if entry["event"] == "internal_error"]
    assert entry["request_id"] == request_id
    assert "secret detail" in str(entry["exc_info"])


class Log:
    """Collects the log entries."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._entries = entries

    def __getattr__(self, _level: str) -> Any:
        return lambda event, **values: self._entries.append({"event": event, **values})


@matrix(("refusal", "code"), [(NotFound(), "NOT_FOUND"), (Conflict(), "CONFLICT")])
async def test_a_rejected_operation_returns_its_error_code(
    app: App, token: str, monkeypatch: pytest.MonkeyPatch, refusal: Exception, code: str
) -> None:
    monkeypatch.setattr(users.LISTING, "page", raising(refusal))
    [error] = (await app.graphql(QUERY, token)).json["errors"]
    assert (error["extensions"]["code"], error["path"]) == (code, ["users"])


async def test_an_unavailable_database_is_overloaded_and_not_a_bug(
    app: App, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(app.services, "log", Log(logged))
    monkeypatch.setattr(users.LISTING, "page", raising(StoreUnavailable("10.0.0.7:5432 refused")))
    reply = await app.graphql(QUERY, token)
    [error] = reply.json["errors"]
    assert error["extensions"]["code"] == "OVERLOADED"
    assert "10.0.0.7" not in reply.text
    assert "internal_error" not in {entry["event"] for entry in logged}


@rule("DENY-BY-DEFAULT")
async def test_a_role_without_the_permission_is_forbidden(
    app: App, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HOLDERS, Permission.USERS_READ, frozenset())
    for cached in (permissions_of, allowed):
        cached.cache_clear()
    try:
        reply = await app.graphql(QUERY, token)
        alone = await app.graphql("{ me { id } }", token)
    finally:
        monkeypatch.undo()
        for cached in (permissions_of, allowed):
            cached.cache_clear()
    [error] = reply.json["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("Insufficient permissions", "FORBIDDEN")
    assert reply.json["data"]["users"] is None
    assert alone.json["data"]["me"]["id"]


@rule("GRAPHQL-LIMITS")
async def test_a_slow_query_ends_at_the_deadline(app: App, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = asyncio.Event()

    async def never(*_arguments: Any) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    monkeypatch.setattr(execution, "DEADLINE_S", 0.01)
    monkeypatch.setattr(type(app.services.store.of(1)), "read", never)
    reply = await app.graphql(QUERY, token)
    assert reply.status == 200
    [error] = reply.json["errors"]
    assert reply.json["data"] is None
    assert error["extensions"] == {"code": "OVERLOADED", "requestId": reply.headers["x-request-id"]}
    assert cancelled.is_set()


def test_the_deadline_is_five_seconds() -> None:
    assert execution.DEADLINE_S == 5.0
