"""Checks each response of an application in a test's process against the OpenAPI description."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from tests.support.routes import ROUTES, openapi_document

#: Errors that any route can return.
_ANYWHERE = {"PAYLOAD_TOO_LARGE", "OVERLOADED", "INTERNAL_ERROR"}
#: Errors that any route below ``/api/client`` can also return: on premise, and for tokens of Entra ID.
_LICENCE = {"LICENSE_REQUIRED", "LICENSE_EXPIRED"}
_ENTRA = {"SSO_FAILED", "ACCOUNT_DISABLED", "RATE_LIMITED", "PROVIDER_UNAVAILABLE"}
#: Errors where the caller has no route, since the admin API is hidden from other networks.
_HIDDEN = "/api/admin"


@cache
def _operations() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    paths = openapi_document()["paths"]
    found = [(one.method, one.path, paths[one.path][one.method.lower()]) for one in ROUTES]
    found.sort(key=lambda one: "{" in one[1])  # a fixed path goes first, as in the route table
    return [(method, re.compile(re.sub(r"{\w+}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(r"\}", "}"))), of)
            for method, path, of in found]  # fmt: skip


@lru_cache(1024)
def _operation(method: str, path: str) -> dict[str, Any] | None:
    """The description of the first route that matches the path and method."""
    found = next((pattern for _, pattern, _ in _operations() if pattern.fullmatch(path)), None)
    return next((of for name, pattern, of in _operations() if name == method and pattern == found), None)


@cache
def _codes(description: str) -> list[str]:
    return re.findall("`([A-Z_]+)`", description)


def check(method: str, target: str, status: int, media_type: str, code: str) -> None:
    """Fail if the description of the route doesn't list the response. ``code`` is the error code, or empty."""
    path = target.partition("?")[0].removeprefix("http://").removeprefix("https://")
    path = path[path.find("/") :]
    operation = _operation(method, path)
    if operation is None:
        return
    responses = operation["responses"]
    if status >= 400:
        told = set(_ANYWHERE)
        if path.startswith("/api/client/"):
            told |= _LICENCE | (_ENTRA if operation["security"] else set())
        told |= {name for answer in responses.values() for name in _codes(answer["description"])}
        code = {"BAD_USER_INPUT": "VALIDATION_ERROR"}.get(code, code)
        is_hidden = code == "NOT_FOUND" and (path.startswith(_HIDDEN) or "%" in path)
        assert not code or code in told or is_hidden, f"{method} {path}: {status} {code} is not described"
        return
    assert str(status) in responses, f"{method} {path}: {status} is not described"
    content = responses[str(status)].get("content", {})
    known = {*content, "application/graphql-response+json"}
    assert not content or media_type in known, f"{method} {path}: {media_type} is not described"
