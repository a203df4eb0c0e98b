"""Callers behind tokens: verified tokens of this server, with the live caller that they stand for.

The bearers of requests and the tokens that are introspected are judged here, by the same rules.
"""

from __future__ import annotations

from manifest_auth.context import Principal
from manifest_auth.errors import InvalidToken
from manifest_auth.services import RequestContext
from manifest_auth.sessions import TokenOfService
from manifest_auth.sessions.tokens import Purpose, VerifiedServiceToken
from manifest_auth.sessions.tokens.access import Verified
from manifest_auth.sign_in import idle_end


async def of_user(ctx: RequestContext, token: str) -> tuple[Principal, Verified]:
    """The user of an access token. Raises InvalidToken, TokenExpired."""
    services, now = ctx.services, ctx.now
    verified = await services.verified.verify(Purpose.ACCESS, token, now)
    principal = await services.principals.by_session(verified.session_id)
    if principal is not None and idle_end.is_due(ctx, principal):  # another node may have noted a later use
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
