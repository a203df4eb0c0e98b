"""Routes of GraphQL, the page at ``/explorer``, and the format of refusals in GraphQL over HTTP."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from manifest_auth.errors import NotFound, Refusal
from manifest_auth.http import BODY_LIMIT, NO_STORE, Access, Answer, Call, Head, Header, Route, page, refusal_headers
from manifest_auth.http.answers import JSON
from manifest_auth.http.request import weights
from manifest_auth.services import RequestContext

PATH = "/api/client/graphql"
_CODES = {"VALIDATION_ERROR": "BAD_USER_INPUT"}
GRAPHQL: Header = (b"content-type", b"application/graphql-response+json; charset=utf-8")
_GRAPHQL_TYPE = "application/graphql-response+json"


def media_type(head: Head) -> Header:
    """The media type of the answer: ``application/graphql-response+json`` for callers that prefer it, else
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
    """The answer to a request that is refused before execution: a GraphQL error body with the refusal's status."""
    body = {"errors": [in_graphql(refusal, ctx.request_id)]}
    return Answer(refusal.status, orjson.dumps(body), (media_type(head), NO_STORE, *refusal_headers(refusal)))


_PAGE = (Path(__file__).parent / "explorer.html").read_bytes()


def _digest(tag: bytes) -> str:
    found = re.search(rb"<%b>(.*?)</%b>" % (tag, tag), _PAGE, re.DOTALL)
    assert found is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_digest(b'script')}; style-src {_digest(b'style')}; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


async def _explorer(ctx: RequestContext, _call: Call[None]) -> Answer[None]:
    if not ctx.services.settings.introspects:
        raise NotFound()
    return page(_PAGE, POLICY)


_Handler = Callable[[RequestContext, Call[bytes]], Awaitable[Answer[None]]]
_SCHEMA = Path(__file__).parent / "schema.graphql"
_SDL: Header = (b"content-type", b"text/plain; charset=utf-8")
_handlers: tuple[_Handler, _Handler] | None = None


def _import() -> tuple[_Handler, _Handler]:
    from manifest_auth.api.graphql import execution

    return execution.post, execution.get


async def _load() -> tuple[_Handler, _Handler]:
    """Imports :mod:`.execution` with the first query, in a thread: schema, engine and resolvers take 8 MB and about
    120 ms, which must delay neither the start nor other requests."""
    global _handlers
    _handlers = await asyncio.to_thread(_import)
    gc.freeze()  # the imported objects are permanent: the garbage collector need not traverse them
    return _handlers


async def _post(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    post, _ = _handlers or await _load()
    return await post(ctx, call)


async def _get(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    _, get = _handlers or await _load()
    return await get(ctx, call)


async def _schema(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """The schema's text, which a caller may read whether introspection is on or off: the docs have it too."""
    return Answer(200, await asyncio.to_thread(_SCHEMA.read_bytes), (_SDL, NO_STORE))


ROUTES = (
    Route("POST", PATH, _post, Access.CLIENT, "Run a GraphQL query", limit=BODY_LIMIT, raw=True, refused=refused,
          enveloped=False, operation="graphql"),
    Route("GET", PATH, _get, Access.CLIENT, "Run a GraphQL query; mutations need POST", raw=True, refused=refused,
          enveloped=False, operation="graphqlByGet"),
    Route("GET", f"{PATH}/schema.graphql", _schema, Access.CLIENT, "The GraphQL schema as text, for generators",
          sends=("text/plain",), operation="getGraphqlSchema"),
    Route("GET", "/explorer", _explorer, Access.OPEN, "Try GraphQL in a browser; where introspection is on",
          refusals=(NotFound,), sends=("text/html",)),
)  # fmt: skip
