"""GraphQL over HTTP (the specification of that name): path, media types, and the format of a refusal."""

from __future__ import annotations

from typing import Any

import orjson

from manifest_auth.errors import Refusal
from manifest_auth.http import NO_STORE, Answer, Head, Header, refusal_headers

PATH = "/api/client/graphql"
_CODES = {"VALIDATION_ERROR": "BAD_USER_INPUT"}
_JSON: Header = (b"content-type", b"application/json; charset=utf-8")
GRAPHQL: Header = (b"content-type", b"application/graphql-response+json; charset=utf-8")
_GRAPHQL_TYPE = "application/graphql-response+json"


def media_type(head: Head) -> Header:
    """The media type of the answer: ``application/graphql-response+json`` for callers that prefer it, else
    ``application/json``."""
    accept = head.accept
    if accept is None or _GRAPHQL_TYPE not in accept.lower():
        return _JSON
    wanted = {"application/json": 0.0, _GRAPHQL_TYPE: 0.0}
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        if kind in wanted:
            wanted[kind] = max([wanted[kind], _quality(parameters)])
    better = wanted[_GRAPHQL_TYPE] > 0 and wanted[_GRAPHQL_TYPE] >= wanted["application/json"]
    return GRAPHQL if better else _JSON


def _quality(parameters: list[str]) -> float:
    """``q`` of a media range (RFC 9110, section 12.4.2); 0 for one that is not a number."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def in_graphql(refusal: Refusal, request_id: str) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": _CODES.get(refusal.code, refusal.code), "requestId": request_id}
    if refusal.details:
        extensions["details"] = [{"field": field, "message": message} for field, message in refusal.details]
    return {"message": refusal.message, "extensions": extensions}


def refused(refusal: Refusal, request_id: str, head: Head) -> Answer[None]:
    """The answer to a request that is refused before execution: a GraphQL error body with the refusal's status."""
    body = {"errors": [in_graphql(refusal, request_id)]}
    return Answer(refusal.status, orjson.dumps(body), (media_type(head), NO_STORE, *refusal_headers(refusal)))
