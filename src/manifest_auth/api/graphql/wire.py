"""Formats errors for GraphQL over HTTP."""

from __future__ import annotations

from typing import Any

import orjson

from manifest_auth.errors import Refusal
from manifest_auth.http import NO_STORE, Answer, Head, Header, refusal_headers
from manifest_auth.http.answers import JSON
from manifest_auth.http.request import weights
from manifest_auth.services import RequestContext

PATH = "/api/client/graphql"
_CODES = {"VALIDATION_ERROR": "BAD_USER_INPUT"}
GRAPHQL: Header = (b"content-type", b"application/graphql-response+json; charset=utf-8")
_GRAPHQL_TYPE = "application/graphql-response+json"


def media_type(head: Head) -> Header:
    """The media type of the response: ``application/graphql-response+json`` for callers that prefer it, otherwise
    ``application/json``."""
    if head.accept is None or _GRAPHQL_TYPE not in head.accept.lower():
        return JSON
    wanted = weights(head.accept)
    weight = wanted.get(_GRAPHQL_TYPE, 0.0)
    return GRAPHQL if weight > 0 and weight >= wanted.get("application/json", 0.0) else JSON


def in_graphql(refusal: Refusal, request_id: str) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": _CODES.get(refusal.code, refusal.code), "requestId": request_id}
    if refusal.details:
        extensions["details"] = [{"field": field, "message": str(message)} for field, message in refusal.details]
    return {"message": str(refusal.message), "extensions": extensions}


async def refused(ctx: RequestContext, refusal: Refusal, head: Head) -> Answer[None]:
    """Returns the response to a request that is rejected before execution: a GraphQL error body with the error's
    status."""
    body = {"errors": [in_graphql(refusal, ctx.request_id)]}
    return Answer(refusal.status, orjson.dumps(body), (media_type(head), NO_STORE, *refusal_headers(refusal)))
