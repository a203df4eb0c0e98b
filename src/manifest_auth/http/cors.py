"""CORS: lets pages of the origins that a client lists read responses (Fetch standard, section 3.3).

Only the routes of :func:`.routes.is_cross_origin` do that, and ``*`` is never sent. Origins can read the responses of
their own client: the client of the credential, otherwise the one that the request names, otherwise any. At the issuer
of a client's apps, these are the origins that its apps list. No page can read a response to a machine's credential.
"""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.accounts import apps
from manifest_auth.context import Principal
from manifest_auth.http import identification
from manifest_auth.http.answers import Answer, Header
from manifest_auth.http.request import Head
from manifest_auth.http.routes import Access, Route, client_of_issuer, is_cross_origin
from manifest_auth.services import Owner, RequestContext
from manifest_auth.store import StoreUnavailable

#: Prevents caches from serving one origin's response to another (RFC 9110, section 12.5.5).
VARY: Header = (b"vary", b"Origin")
VARY_OF_OPTIONS: Header = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
_EXPOSED: Header = (b"access-control-expose-headers", b"X-Request-ID, Retry-After, WWW-Authenticate, X-License-Warning")
_CREDENTIALS: Header = (b"access-control-allow-credentials", b"true")
#: The last four are for tracing (W3C Trace Context, W3C Baggage, Sentry). Pages add them to all of their requests.
_HEADERS: Header = (
    b"access-control-allow-headers",
    b"authorization, content-type, x-client-id, x-request-id, traceparent, tracestate, baggage, sentry-trace",
)
_MAX_AGE: Header = (b"access-control-max-age", b"600")
_WANTED = b"access-control-request-method"


async def preflight(ctx: RequestContext, head: Head, path: str, allow: str) -> Answer[None] | None:
    """Returns the response to a preflight of a listed origin. None if the request is rejected like any other
    ``OPTIONS``. A preflight has no credential, and names ``X-Client-ID`` without its value, so its client is the
    host's, or any. It permits nothing on its own, because the request that follows is checked again. ``allow`` lists
    the route's methods, as in ``Allow``. Raises ValidationError or StoreUnavailable."""
    wanted = head.line(_WANTED)
    if head.origin is None or not wanted or not is_cross_origin(path):
        return None
    head.check()
    if wanted not in allow.split(", "):
        return None
    credentials: tuple[Header, ...] = (_CREDENTIALS,)
    if (client := client_of_issuer(path)) is not None:
        is_listed, credentials = await _is_of_app(ctx, head.origin, client), ()
    else:
        is_listed = await ctx.services.origin_index.is_listed(head.origin, ctx.client_hint.subdomain)
    if not is_listed:
        return None
    methods: Header = (b"access-control-allow-methods", allow.encode())
    answer: Answer[None] = Answer(204, b"", (_allow(head.origin), *credentials, methods, _HEADERS, _MAX_AGE))
    answer.size = None  # RFC 9110, section 8.6: no Content-Length with 204
    return answer


async def _is_of_app(ctx: RequestContext, origin: str, client: str) -> bool:
    """Whether an app of the client lists the origin. Its pages use a token, never a cookie."""
    return origin in (await apps.origins_of(ctx.services.store, client) or ())


async def permission(ctx: RequestContext, head: Head, route: Route | None, path: str) -> tuple[Header, ...]:
    """Returns the headers that let a page of the request's origin read the response. Empty if the response's client
    doesn't list the origin, or if the database is unavailable. ``route`` is None if the request was rejected before
    routing."""
    origin = head.origin
    if origin is None or head.twice is not None or _is_machine(ctx, head):
        return ()
    try:
        if (client := client_of_issuer(path)) is not None:
            return (_allow(origin), _EXPOSED) if await _is_of_app(ctx, origin, client) else ()
        listed = await _is_listed(ctx, head, route, origin)
    except StoreUnavailable:
        return ()
    except Exception:  # the caller must still get the finished response
        ctx.services.log.exception("internal_error", request_id=ctx.request_id)
        return ()
    return (_allow(origin), _CREDENTIALS, _EXPOSED) if listed else ()


def _is_machine(ctx: RequestContext, head: Head) -> bool:
    """Whether the caller is a machine. Pages must not contain a machine's credential, so no page can read its
    responses."""
    if isinstance(ctx.caller, Principal):
        return ctx.caller.is_service
    return identification.shows_machine(head)


async def _is_listed(ctx: RequestContext, head: Head, route: Route | None, origin: str) -> bool:
    owner: Owner | str | None = ctx.owner
    if isinstance(ctx.caller, Principal):
        owner = Owner(ctx.caller.tenant_settings, ctx.caller.roles)
    elif route is not None and route.access is Access.CLIENT:
        owner = await identification.holder(ctx, head)
    if isinstance(owner, Owner):
        return origin in tenants.origins_for(tenants.settings_of(owner.tenant_settings), owner.roles)
    return await ctx.services.origin_index.is_listed(
        origin, owner or ctx.client_hint.client or ctx.named_client or None
    )


def _allow(origin: str) -> Header:
    return b"access-control-allow-origin", origin.encode("latin-1")
