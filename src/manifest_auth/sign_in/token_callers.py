"""Callers behind tokens of this server, and the note of each use that keeps an idle session from its end."""

from __future__ import annotations

from manifest_auth import sessions
from manifest_auth.context import Principal
from manifest_auth.errors import InvalidToken
from manifest_auth.services import RequestContext
from manifest_auth.sessions import TokenOfService
from manifest_auth.sessions.tokens import Purpose, VerifiedServiceToken
from manifest_auth.sessions.tokens.access import Verified

# The end of sessions that no one uses: of those that end so under all keys, each use is noted, once a minute.
#
# Other nodes are not told of a use. So a node that remembers an older one reads the store before it takes a session for
# over.


def touch_ms(idle_ms: int) -> int:
    """How old a noted use may be until the next one is noted. ``idle_ms``: the longest time without use."""
    return min(sessions.TOUCH_EVERY_MS, idle_ms // 2)


def is_due(ctx: RequestContext, principal: Principal) -> bool:
    """Whether a use has to be noted, so that what is remembered may be old."""
    idle_s = principal.idle_s
    return idle_s is not None and ctx.now - principal.cookie_seen_at >= touch_ms(idle_s * 1000)


async def note_use(ctx: RequestContext, principal: Principal) -> None:
    """Notes that the session is used now, where that is due."""
    if is_due(ctx, principal):
        now, session_id = ctx.now, principal.session_id
        await ctx.services.store.of(principal.tenant_id).write_quickly(
            lambda unit: sessions.touch(unit, session_id, now)
        )
        ctx.services.principals.touched(principal, now)


# Callers behind tokens: verified tokens of this server, with the live caller that they stand for.
#
# The bearers of requests and the tokens that are introspected are judged here, by the same rules.


async def of_user(ctx: RequestContext, token: str) -> tuple[Principal, Verified]:
    """The user of an access token. Raises InvalidToken, TokenExpired."""
    services, now = ctx.services, ctx.now
    verified = await services.verified.verify(Purpose.ACCESS, token, now)
    principal = await services.principals.by_session(verified.session_id)
    if principal is not None and is_due(ctx, principal):  # another node may have noted a later use
        principal = await services.principals.fresh_by_session(verified.session_id)
    if principal is None or not principal.is_alive(now):
        raise InvalidToken(reason="session, user or client is not alive")
    if principal.keys != services.keys.stamp:  # another process changed the keys: this one may be retired
        await services.keys.refresh()
        verified = await services.verified.verify(Purpose.ACCESS, token, now)
    if principal.user_id != verified.subject_id or principal.client != verified.client:
        raise InvalidToken(reason="the session is another's")
    return principal, verified


async def of_service(ctx: RequestContext, token: str) -> tuple[Principal, VerifiedServiceToken]:
    """The service account of a token. Raises InvalidToken, TokenExpired."""
    services, now = ctx.services, ctx.now
    verified = await services.service_tokens.verify(token, now)
    shown = TokenOfService(
        verified.key, verified.account, verified.scopes, verified.issued_at * 1000, verified.expires_at * 1000
    )
    principal = await services.principals.by_service_token(shown)
    if principal is None or not principal.is_alive(now):
        raise InvalidToken(reason="service token: revoked, or account or client is not alive")
    if principal.keys != services.keys.stamp:
        await services.keys.refresh()
        verified = await services.service_tokens.verify(token, now)
    if principal.client != verified.client:
        raise InvalidToken(reason="service token: of another client")
    return principal, verified
