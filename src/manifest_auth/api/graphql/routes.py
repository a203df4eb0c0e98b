"""The routes of GraphQL, and the page at ``/explorer``."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from manifest_auth.api.graphql.wire import PATH, refused
from manifest_auth.audit.acts import NOTHING
from manifest_auth.errors import NotFound
from manifest_auth.http import BODY_LIMIT, NO_STORE, Access, Answer, Call, Header, Route, page
from manifest_auth.services import RequestContext

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
    """Imports :mod:`.execution` in a thread, at the first query. The schema, engine, and resolvers take 8 MB and about
    120 ms, which must not delay the start or other requests."""
    global _handlers
    _handlers = await asyncio.to_thread(_import)
    gc.freeze()  # the imported objects are permanent, so the garbage collector doesn't need to traverse them
    return _handlers


async def _post(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    post, _ = _handlers or await _load()
    return await post(ctx, call)


async def _get(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    _, get = _handlers or await _load()
    return await get(ctx, call)


async def _schema(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """Returns the schema's text. Callers can read it even if introspection is off, because the docs contain it too."""
    return Answer(200, await asyncio.to_thread(_SCHEMA.read_bytes), (_SDL, NO_STORE))


ROUTES = (
    Route("POST", PATH, _post, Access.CLIENT, "Run a GraphQL query", limit=BODY_LIMIT, raw=True, refused=refused,
          enveloped=False, operation="graphql", asks=NOTHING),
    Route("GET", PATH, _get, Access.CLIENT, "Run a GraphQL query; mutations need POST", raw=True, refused=refused,
          enveloped=False, operation="graphqlByGet"),
    Route("GET", f"{PATH}/schema.graphql", _schema, Access.CLIENT, "Get the GraphQL schema as text, for generators",
          sends=("text/plain",), operation="getGraphqlSchema"),
    Route("GET", "/explorer", _explorer, Access.OPEN, "Try GraphQL in a browser, if introspection is on",
          refusals=(NotFound,), sends=("text/html",)),
)  # fmt: skip
