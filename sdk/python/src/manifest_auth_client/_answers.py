"""Reads server responses: their data, or the error that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from manifest_auth_client import errors
from manifest_auth_client._failure import Detail, ManifestAuthError


def data_of(response: httpx2.Response) -> Any:
    """Returns ``data`` from a REST response. Raises the error from :func:`failure` for any other response."""
    body = _json(response)
    if response.is_success and body.get("success") is True:
        return body.get("data")
    raise failure(response)


def graphql_data_of(response: httpx2.Response) -> dict[str, Any]:
    """Returns ``data`` from a GraphQL response. If it has ``errors``, raises the first one, with the partial
    ``data``."""
    body = _json(response)
    if body.get("errors") or not response.is_success or not isinstance(body.get("data"), dict):
        raise failure(response)
    found: dict[str, Any] = body["data"]
    return found


def failure(response: httpx2.Response) -> ManifestAuthError:
    """Builds the error for a response: from the REST envelope, from GraphQL's ``errors``, or from neither."""
    body = _json(response)
    several = [one for one in _list(body.get("errors")) if isinstance(one, Mapping)]
    if several:
        extensions = several[0].get("extensions")
        given = {"message": several[0].get("message"), **(extensions if isinstance(extensions, Mapping) else {})}
    else:
        given = body["error"] if isinstance(body.get("error"), Mapping) else {}
    code = str(given.get("code", ""))
    kind = errors.BY_CODE.get("VALIDATION_ERROR" if code == "BAD_USER_INPUT" else code, ManifestAuthError)
    found = kind(
        str(given.get("message") or f"The answer is not the server's: {response.status_code} of {response.url.host}"),
        code=code if kind is ManifestAuthError else "",
        status=response.status_code,
        details=(Detail(str(one.get("field", "")), str(one.get("message", ""))) for one in _list(given.get("details"))),
        request_id=str(given.get("requestId") or response.headers.get("x-request-id", "")),
        retry_after=seconds_of(response),
        given=given,
    )
    found.data, found.errors = body.get("data"), tuple(several)
    return found


def code_of(response: httpx2.Response) -> str:
    """Returns the error code of a response whose body was read."""
    return failure(response).code


def _json(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def seconds_of(response: httpx2.Response) -> float | None:
    """Returns ``Retry-After`` in seconds."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None
