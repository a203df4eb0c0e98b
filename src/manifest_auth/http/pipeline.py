"""The pipeline of every request, from its head to its response.

It finds the route, checks the license, identifies the caller, reads the body, calls the handler, and responds.

It uses ASGI directly, so no framework is on the hot path (``docs/decisions/0002-no-web-framework.md``).
:meth:`Pipeline._refused` returns expected errors in the envelope. Any other exception is a bug, which is logged and
returned as ``INTERNAL_ERROR``.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple, cast

from manifest_auth.accounts.admins import management
from manifest_auth.errors import (
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    Refusal,
    ValidationError,
)
from manifest_auth.http import (
    Access,
    Answer,
    Call,
    Head,
    Header,
    Route,
    RouteTable,
    cors,
    identification,
    ok,
    refuse,
)
from manifest_auth.http.answers import HSTS, SECURITY, lines
from manifest_auth.http.request import (
    Message,
    Receive,
    check_media_type,
    client_address,
    is_host,
    parse,
    parts,
    read_whole,
    request_id,
    skip,
)
from manifest_auth.http.routes import is_cross_origin
from manifest_auth.runtime import tracing
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import is_listed, proxy_networks
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import StoreUnavailable
from manifest_auth.text.models import convert

Send = Callable[[Message], Awaitable[None]]
#: Responds with an error to a path without a route.
Unrouted = Callable[[RequestContext, Refusal, Head, str], Awaitable[Answer[None]]]

#: An extension of the ASGI scope: a function of ``uvicorn_server.py`` that sends a complete response immediately.
WHOLE = "manifest_auth.whole"
_MAX_AGENT = 200
_ADMIN = "/api/admin"
_ADMIN_PATHS = (_ADMIN, management.PATH)
_OWN_ACCOUNT = f"{_ADMIN}/auth/"  # routes of the calling system admin's own account
_UNROUTED = "(none)"
_GRAPHQL = "/api/client/graphql"  # most posts to this path only read
_READING = ("GET", "HEAD", "OPTIONS")
_ADVICE = "to list the values that no secret key decrypts, and what to do, run `manifest-auth doctor`"


class Pipeline:
    """Handles the HTTP requests of ASGI scopes."""

    def __init__(self, services: Services, table: RouteTable, unrouted: Unrouted) -> None:
        self._services = services
        self._table = table
        self._unrouted = unrouted
        self._proxies = proxy_networks(services.settings)
        self._hsts = (HSTS,) if services.settings.secure_cookies else ()
        #: Headers of most responses, by whether they vary by origin.
        self._usual = tuple(_Constant.of((*SECURITY, *self._hsts, *vary)) for vary in ((), (cors.VARY,)))
        self._console = management.is_served(services.settings)
        self._log_all = services.settings.log_requests == "all"
        self._log_changes = services.settings.log_requests != "none"

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        services = self._services
        head = Head(scope["headers"])
        method: str = scope["method"]
        path: str = scope["path"]
        peer = scope["client"]
        ctx = RequestContext(
            services,
            request_id(head.request_id, services.random),
            client_address(peer[0] if peer else "", head, self._proxies),
            (head.user_agent or "")[:_MAX_AGENT],
            client_header=head.client_id,
            host=head.host,
        )
        trace = None
        due = services.recorder is not None and services.recorder.is_due()
        if due or head.traceparent is not None:
            trace = self._trace(head.traceparent, peer[0] if peer else "", due=due)
            tracing.CURRENT.set(trace)
        pattern = _UNROUTED
        route: Route | None = None
        answer: Answer[Any]
        try:
            _check_target(scope, head)
            if path.startswith(_ADMIN_PATHS):
                await self._check_admin_access(ctx, path)
            try:
                route, values = self._table.find(method, path)
            except NotFound:
                if not await self._table.load_more(path):
                    raise
                route, values = self._table.find(method, path)
            except MethodNotAllowed as refusal:
                allowed = await cors.preflight(ctx, head, path, refusal.allow) if method == "OPTIONS" else None
                if allowed is None:
                    raise
                answer = allowed
            if route is not None:
                pattern = route.path
                head.check()  # after finding the route, which defines the format of errors
                answer = await self._handle(ctx, route, values, head, scope, receive)
        except Refusal as refusal:
            await ctx.services.refusals.record_refusal(ctx, refusal, pattern)
            answer = await self._refused(ctx, scope, pattern, refusal, route, head)
        except StoreUnavailable as error:
            busy = Overloaded(retry_after=1, reason=f"store: {error}")
            answer = await self._refused(ctx, scope, pattern, busy, route, head)
        except asyncio.CancelledError:  # it was in progress for longer than ``shutdown_grace``
            ends = Overloaded("The server is shutting down, try again shortly", retry_after=1, reason="shutdown")
            answer = await self._refused(ctx, scope, pattern, ends, route, head)
        except Exception as error:
            details: dict[str, str] = {"request_id": ctx.request_id, "method": method, "route": pattern}
            if isinstance(error, CannotOpen):  # not a bug, so a stack trace wouldn't help the operator
                services.log.error("sealed_value_does_not_open", **details, row=str(error), advice=_ADVICE)
            else:
                services.log.exception("internal_error", **details)
            answer = await self._answer_refusal(ctx, scope, InternalError(), route, head)
        if ctx.renewed_cookies:
            answer = _with_renewed_cookies(answer, ctx.renewed_cookies)
        headers = [*answer.headers, (b"x-request-id", ctx.request_id.encode("latin-1"))]
        if answer.size is not None:
            headers.append((b"content-length", b"%d" % answer.size))
        varies = route.is_cross_origin if route is not None else is_cross_origin(path)
        if varies and method == "OPTIONS":
            headers.append(cors.VARY_OF_OPTIONS)
            varies = False
        elif varies and head.origin is not None:
            headers += await cors.permission(ctx, head, route, path)
        if services.draining:
            headers.append((b"connection", b"close"))
        if ctx.license_warning:
            headers.append((b"x-license-warning", ctx.license_warning.encode("ascii")))
        is_usual = answer.security is None and answer.policy is None
        constant = self._usual[varies] if is_usual else self._own(answer, varies=varies)
        if trace is not None:  # the next request on the connection can begin while the response is sent
            tracing.CURRENT.set(None)
        whole = (scope.get("extensions") or {}).get(WHOLE)
        if whole is not None and answer.parts is None:
            whole(answer.status, headers, constant.lines, answer.body)
        else:
            headers += constant.headers
            await _send(answer, headers, receive, send, with_body=method != "HEAD")
        seconds = time.perf_counter() - began
        services.metrics.answered(method, pattern, answer.status, seconds)
        if trace is not None:
            trace.answered(method, pattern, answer.status, getattr(ctx.caller, "tenant_id", None))
        changes = method not in _READING and (pattern != _GRAPHQL or ctx.mutation is not None)
        if self._log_all or (self._log_changes and changes):
            mutation = {} if ctx.mutation is None else ctx.mutation._asdict()
            services.log.info(
                "request",
                request_id=ctx.request_id,
                method=method,
                route=pattern,
                status=answer.status,
                ms=round(seconds * 1000, 2),
                caller=ctx.caller.actor,
                address=ctx.address,
                **({"via": ctx.via} if ctx.via else {}),
                **mutation,
                **(trace.members if trace is not None else {}),
            )

    def _trace(self, header: str | None, peer: str, *, due: bool) -> tracing.Trace | None:
        """Returns the trace of a request, from its header ``traceparent`` or new if it is recorded."""
        is_trusted, trace = False, None
        if header is not None:
            is_trusted = is_listed(peer, self._proxies)
            trace = tracing.continued(header, self._services.random, trusted=is_trusted)
        recorder = self._services.recorder
        return trace if recorder is None else recorder.begin(trace, trusted=is_trusted, due=due)

    async def _check_admin_access(self, ctx: RequestContext, path: str) -> None:
        """Hides the admin API and its pages from addresses that aren't allowed to use them, so that attackers don't
        learn that they exist. Raises NotFound."""
        if path.startswith(management.PATH) and not self._console:
            raise NotFound(reason="a cookie for the installation's pages requires https")
        if not await self._services.admin_networks.allows(ctx.address):
            raise NotFound(reason="this address can't use the admin API")

    async def _handle(
        self, ctx: RequestContext, route: Route, path: dict[str, str], head: Head, scope: Any, receive: Receive
    ) -> Answer[Any]:
        if route.gated and ctx.services.licence.is_needed:
            ctx.license_warning = await ctx.services.licence.check()
        if route.access is Access.CLIENT:
            ctx.caller = await identification.user(ctx, scope["method"], head)
            if ctx.caller.is_service and not route.for_machines:
                raise Forbidden(details=[("caller", "Service accounts can't call this route")])
            if ctx.caller.is_app and not (route.for_apps and ctx.caller.permissions):
                raise Forbidden(details=[("caller", "The app doesn't have the scopes that this route requires")])
            if route.permission is not None and route.permission not in ctx.caller.permissions:
                raise Forbidden.without(route.permission.value)
        elif route.access is Access.ADMIN:
            ctx.caller = await identification.admin(ctx, head)
            if ctx.services.licence.is_needed:
                ctx.license_warning = await ctx.services.licence.warning()
            if ctx.caller.limited and not route.path.startswith(_OWN_ACCOUNT):
                raise Forbidden(details=[("secondFactor", "A second factor is required. Set one up first")])
        elif route.forwards and (address := head.line(identification.FORWARDED_FOR)):
            await identification.forward(ctx, head, address)
        body: Any = None
        if route.streams:
            body = parts(head, receive, route.limit)
        elif route.raw:
            body = await read_whole(head, receive, route.limit)
        elif route.body is not None:
            check_media_type(head)
            parsed = parse(await read_whole(head, receive, route.limit))
            body = convert(parsed, route.body, ignore_unknown=route.ignore_unknown)
        elif head.content_length not in (None, "0"):
            await skip(head, receive, route.limit)
        query: bytes = scope["query_string"]
        parameters = route.read_query(query)
        if head.origin is not None:
            ctx.named_client = getattr(body, "client", "") or getattr(parameters, "client", "")
        done = await route.handler(ctx, Call(head, body, path, query, parameters))
        return done if isinstance(done, Answer) else ok(done, status=route.status)

    async def _refused(
        self, ctx: RequestContext, scope: Any, pattern: str, refusal: Refusal, route: Route | None, head: Head
    ) -> Answer[None]:
        if refusal.replay is not None:
            self._services.metrics.replayed(refusal.replay)
        self._services.log.info(
            "refused",
            request_id=ctx.request_id,
            method=scope["method"],
            route=pattern,
            code=refusal.code,
            reason=refusal.logged,
            caller=ctx.caller.actor,
            address=ctx.address,
        )
        return await self._answer_refusal(ctx, scope, refusal, route, head)

    async def _answer_refusal(
        self, ctx: RequestContext, scope: Any, refusal: Refusal, route: Route | None, head: Head
    ) -> Answer[None]:
        """Returns the response for an error, in the route's format. If that fails too, it is in the envelope, because
        the caller must get a response."""
        tracing.note("error.type", refusal.code)
        try:
            if route is None:
                return await self._unrouted(ctx, refusal, head, scope["path"])
            return await route.refused(ctx, refusal, head)
        except Exception:
            self._services.log.exception("internal_error", request_id=ctx.request_id, code=refusal.code)
            return refuse(refusal, ctx.request_id)

    def _own(self, answer: Answer[Any], *, varies: bool) -> _Constant:
        """The security headers of a response that doesn't use the defaults."""
        always = (*(answer.security or SECURITY), *self._hsts, *((cors.VARY,) if varies else ()))
        if answer.policy is not None:
            policy = (b"content-security-policy", answer.policy.encode())
            always = tuple(policy if header[0] == policy[0] else header for header in always)
        return _Constant.of(always)


class _Constant(NamedTuple):
    """Headers that many responses have, also in wire format."""

    headers: tuple[Header, ...]
    lines: bytes

    @classmethod
    def of(cls, headers: tuple[Header, ...]) -> _Constant:
        return cls(headers, lines(headers))


def _with_renewed_cookies(answer: Answer[Any], renewed: tuple[Header, ...]) -> Answer[Any]:
    """Returns the response with session cookies set again, so that the browser renews their idle time. Skips cookies
    that the response itself sets or deletes."""
    own = {value.partition(b"=")[0] for name, value in answer.headers if name == b"set-cookie"}
    answer = copy.copy(answer)
    answer.headers = (*answer.headers, *(line for line in renewed if line[1].partition(b"=")[0] not in own))
    return answer


def _check_target(scope: MutableMapping[str, Any], head: Head) -> None:
    """Rejects percent-encoded paths, and HTTP/1.1 requests with no ``Host`` or an invalid one. No route needs
    percent-encoding. So a proxy's rules see the same path as the server, and no path contains NUL."""
    if b"%" in scope.get("raw_path", b""):
        raise NotFound(reason="percent-encoded path")
    if head.host is None and scope["http_version"] == "1.1":
        raise ValidationError(details=[("Host", "The header is required")])
    if head.host is not None and not is_host(head.host):
        raise ValidationError(details=[("Host", "The header isn't a host")])


async def _send(answer: Answer[Any], headers: list[Header], receive: Receive, send: Send, *, with_body: bool) -> None:
    """Sends a response through plain ASGI, in parts if it has any. An error in the middle breaks the connection. The
    caller notices, because bytes or the last chunk are missing. No parts are created for a caller that has
    disconnected."""
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.parts is None:
        await send({"type": "http.response.body", "body": answer.body if with_body else b""})
        return
    is_gone = asyncio.ensure_future(_gone(receive))
    try:
        async with contextlib.aclosing(cast(AsyncGenerator[bytes, None], answer.parts)):
            if with_body:
                async for part in answer.parts:
                    if is_gone.done():
                        break
                    await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        is_gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
