"""Routes for operators and integrators: health, readiness, metrics, public keys, and the API description."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import threading
from collections.abc import Callable, Sequence
from functools import partial

import orjson
from msgspec import UNSET, UnsetType

from manifest_auth.errors import InvalidToken, NotFound, Overloaded, Unauthenticated
from manifest_auth.http import NO_STORE, Access, Answer, Call, Header, Route, Wire, docs_site, identification
from manifest_auth.http.answers import HTML, JSON, Document, redirect
from manifest_auth.protocols.microsoft import Cloud
from manifest_auth.services import RequestContext
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.store import StoreUnavailable

_TEXT: Header = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_CACHED: Header = (b"cache-control", b"public, max-age=300")
_SENDS_JSON = ("application/json",)


class HealthData(Wire, frozen=True):
    status: str


class ReadyData(Wire, frozen=True):
    """``warnings``: omitted if empty."""

    status: str
    warnings: tuple[str, ...] | UnsetType = UNSET


async def _healthz(ctx: RequestContext, call: Call[None]) -> HealthData:
    return HealthData("alive")


async def _readyz(ctx: RequestContext, call: Call[None]) -> ReadyData:
    """Responds if the database responds and the process isn't shutting down. The start has already checked the schema.
    Problems that other nodes would share are only warnings: a database that rejects writes still serves reads, and if
    the key file can't be read, the keys in memory still work."""
    if ctx.services.draining:
        raise Overloaded("The server is draining and will stop soon", retry_after=1, reason="draining")
    try:
        await ctx.services.store.ping()
    except StoreUnavailable as error:
        raise Overloaded("The database can't be reached", retry_after=1, reason=str(error)) from error
    warnings = []
    if ctx.services.sealer.reload() is not None:
        warnings.append("The secret key file was replaced and can't be read; see the log")
    if ctx.services.store.takes_no_writes:
        warnings.append("The database rejects writes, so nobody can sign in; see the log, and run manifest-auth doctor")
    return ReadyData("ready", tuple(warnings) or UNSET)


async def _metrics(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """Checks the metrics token, if one is configured. Otherwise, only this machine can get the metrics."""
    settings = ctx.services.settings
    if settings.metrics_token is not None:
        if call.head.authorization is None:
            raise Unauthenticated()
        token = identification.bearer(call.head.authorization)
        if not hmac.compare_digest(token.encode(), settings.metrics_token.reveal().encode()):
            raise InvalidToken(reason="metrics token")
    elif not settings.is_local:
        raise NotFound()
    body = await asyncio.to_thread(
        ctx.services.metrics.render, all_processes=settings.workers > 1
    )  # takes about ten milliseconds
    return Answer(200, body, (_TEXT, NO_STORE))


async def _jwks(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """Returns the key set (RFC 7517), and the algorithm of users' access tokens, because HS256 keys aren't in the set.
    Reads the keys again, because another node might already sign with a newer one."""
    with contextlib.suppress(StoreUnavailable):  # cached keys are better than none
        await ctx.services.keys.refresh()
    keys = ctx.services.keys
    published = keys.published(Purpose.ACCESS, Purpose.SERVICE)
    body = orjson.dumps({"keys": published, "access_token_signing_alg": keys.signing(Purpose.ACCESS).algorithm})
    return Answer(200, body, (JSON, _CACHED))


class _Descriptions:
    """The API description. It is built in a thread for the first request, and cached by what it depends on. Many
    processes never need one, and each takes several megabytes and a tenth of a second."""

    def __init__(self) -> None:
        self.routes: Sequence[Route] = ()
        self._made: dict[tuple[object, ...], Document] = {}
        self._lock = threading.Lock()

    async def get(self, key: tuple[object, ...], make: Callable[[Sequence[Route]], bytes]) -> Document:
        found = self._made.get(key)
        return found if found is not None else await asyncio.to_thread(self._make, key, make)

    def _make(self, key: tuple[object, ...], make: Callable[[Sequence[Route]], bytes]) -> Document:
        with self._lock:  # if there are several first callers, only one builds it
            if key not in self._made:
                self._made[key] = Document.of(make(self.routes))
            return self._made[key]


_descriptions = _Descriptions()


def describe(routes: Sequence[Route]) -> None:
    """Sets the routes to describe."""
    _descriptions.routes = routes


def _document(routes: Sequence[Route]) -> bytes:
    from manifest_auth.http import openapi

    return orjson.dumps(openapi.build(routes))


def _page(site: str, routes: Sequence[Route]) -> bytes:
    from manifest_auth.http import openapi

    return docs_site.render(openapi.build(routes), site).encode()


def _power_apps(public_url: str, cloud: Cloud, routes: Sequence[Route]) -> bytes:
    from manifest_auth.api import power_apps_connector

    return orjson.dumps(power_apps_connector.build(routes, public_url, cloud))


async def _openapi(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    return (await _descriptions.get(("openapi",), _document)).answer(call.head, (JSON, _CACHED))


async def _connector(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    about = (ctx.services.settings.public_url, ctx.services.microsoft.clouds.get(""))
    found = await _descriptions.get(("connector", *about), partial(_power_apps, *about))
    return found.answer(call.head, (JSON, _CACHED))


async def reference(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    site = docs_site.PATH if docs_site.is_there() else ""
    found = await _descriptions.get(("docs", site), partial(_page, site))
    return found.answer(call.head, (HTML, _CACHED), docs_site.POLICY)


async def _docs(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    return redirect(docs_site.PATH)


ROUTES = (
    Route("GET", "/healthz", _healthz, Access.OPEN, "Check that the process responds", operation="getHealth"),
    Route("GET", "/readyz", _readyz, Access.OPEN,
          "Check that the server is ready and the database responds", refusals=(Overloaded,),
          operation="getReadiness"),
    Route("GET", "/metrics", _metrics, Access.OPEN, "Get Prometheus metrics",
          refusals=(Unauthenticated, InvalidToken, NotFound), sends=("text/plain",)),
    Route("GET", "/.well-known/jwks.json", _jwks, Access.OPEN,
          "Get the public keys of tokens that are signed with ES256",
          sends=_SENDS_JSON, operation="getJwks"),
    Route("GET", "/openapi.json", _openapi, Access.OPEN, "Get this description", sends=_SENDS_JSON),
    Route("GET", "/power-apps.json", _connector, Access.OPEN,
          "Get the Power Apps custom connector, OpenAPI 2.0, to import", sends=_SENDS_JSON,
          operation="getPowerAppsConnector"),
    Route("GET", "/docs/api", reference, Access.OPEN, "Get this description as a page", sends=("text/html",)),
    Route("GET", "/docs", _docs, Access.OPEN, "Go to the docs, at /docs/", status=302),
)  # fmt: skip
