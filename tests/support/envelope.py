"""Assertions about the response envelope, for all tests over HTTP."""

from __future__ import annotations

import json
import re
from typing import Any

from manifest_auth import errors
from tests.support.application import Reply

#: Every error code and its status.
REFUSALS = {refusal.code: refusal.status for refusal in errors.REFUSALS}

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
#: Texts that only a stack trace, an SQL statement, a path, or an internal class name would bring into a response.
_LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|manifest_auth|sqlite|asyncpg|msgspec|orjson|SELECT |INSERT |UPDATE |<class"
    r"|object at 0x|Error\("
)


def check_headers(reply: Reply) -> None:
    """Check that every response has a request ID and the usual security headers, and doesn't name the software."""
    for name, value in SECURITY_HEADERS.items():
        assert reply.headers.get_list(name) == [value], name
    assert len(reply.headers.get_list("x-request-id")) == 1
    assert reply.headers["x-request-id"]
    assert "server" not in reply.headers
    assert "x-powered-by" not in reply.headers


def check_success(reply: Reply, status: int = 200) -> Any:
    """Check the success envelope, and return its ``data``."""
    assert reply.status == status, reply.text
    check_headers(reply)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.json["success"] is True
    assert "error" not in reply.json
    return reply.json["data"]


def check_refusal(reply: Reply, status: int, code: str, *, message: str | None = None) -> dict[str, Any]:
    """Check that the failure envelope is complete and has no other members, and return its ``error``."""
    assert reply.status == status, reply.text
    check_headers(reply)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert set(reply.json) == {"success", "error"}
    assert reply.json["success"] is False
    error: dict[str, Any] = reply.json["error"]
    assert error["code"] == code, error
    always, waits = {"message", "code", "requestId"}, {"challenge", "expiresIn"}
    assert always <= set(error) <= always | waits | {"details", "methods"}
    assert set(error) & waits == (waits if code == "MFA_REQUIRED" else set())
    assert error["requestId"] == reply.headers["x-request-id"]
    assert isinstance(error["message"], str)
    assert error["message"]
    if message is not None:
        assert error["message"] == message
    for detail in error.get("details", []):
        assert set(detail) == {"field", "message"}
        assert all(isinstance(text, str) and text for text in detail.values())
    asks = status == 401 or code == "REAUTHENTICATION_REQUIRED"
    assert ("www-authenticate" in reply.headers) == asks
    told = reply.text
    for detail in error.get("details", []):  # a member that the caller sent isn't a secret of the server
        told = told.replace(json.dumps({"field": detail["field"]}, ensure_ascii=False, separators=(",", ":"))[1:-1], "")
    assert not _LEAKS.search(told), reply.text
    return error


def same_but_request_id(one: Reply, other: Reply) -> None:
    """Check that two responses are identical, byte for byte, except for the request ID."""
    first, second = one.headers["x-request-id"], other.headers["x-request-id"]
    assert one.status == other.status
    assert one.text.replace(first, "ID") == other.text.replace(second, "ID")
    lines = [sorted((k, v) for k, v in r.headers.multi_items() if k != "x-request-id") for r in (one, other)]
    assert lines[0] == lines[1]
