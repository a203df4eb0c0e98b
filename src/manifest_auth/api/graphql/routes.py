"""The routes of GraphQL.

:mod:`.execution` runs queries. A thread imports it with the first query: schema, engine and resolvers take 8 MB and
about 120 ms, which must delay neither the start nor other requests.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

from manifest_auth.api.graphql.wire import PATH, refused
from manifest_auth.http import BODY_LIMIT, NO_STORE, Access, Answer, Call, Header, Route
from manifest_auth.services import RequestContext

_Handler = Callable[[RequestContext, Call[bytes]], Awaitable[Answer[None]]]
_SCHEMA = Path(__file__).parent / "schema.graphql"
_SDL: Header = (b"content-type", b"text/plain; charset=utf-8")
_handlers: tuple[_Handler, _Handler] | None = None


def _import() -> tuple[_Handler, _Handler]:
    from manifest_auth.api.graphql import execution

    return execution.post, execution.get


async def _load() -> tuple[_Handler, _Handler]:
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
)  # fmt: skip
