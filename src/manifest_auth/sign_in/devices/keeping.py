"""An app renews and ends the session that it holds: refresh (RFC 6749, section 6) and revocation (RFC 7009)."""

from __future__ import annotations

from manifest_auth import audit, sessions
from manifest_auth.accounts.device_apps import OAuthApp
from manifest_auth.audit import Event
from manifest_auth.errors import Forbidden, InvalidToken, TokenExpired
from manifest_auth.protocols.oauth import TokenRefused
from manifest_auth.services import RequestContext
from manifest_auth.sessions import device_sessions, tokens
from manifest_auth.sessions.tokens import Purpose, TokenPair
from manifest_auth.sign_in import session_lifecycle
from manifest_auth.store import SystemUnit

_PREFIX = "mrt_"  # of refresh tokens


async def refresh(ctx: RequestContext, app: OAuthApp, token: str) -> tuple[TokenPair, int]:
    """New tokens of the session that the app holds, and its roles, a bit mask. Raises TokenRefused."""
    try:
        presented = await tokens.read_refresh(ctx.services.tokens, Purpose.REFRESH, token, ctx.now)
        held = await ctx.services.store.of(app.tenant_id).read(
            lambda unit: device_sessions.app_of(unit, presented.session_id)
        )
        if held != app.id:
            raise InvalidToken(reason="refresh token: of another app")
        pair = await session_lifecycle.refresh(ctx, token)
        session = await ctx.services.principals.by_session(presented.session_id)
        return pair, 0 if session is None else session.roles
    except (InvalidToken, TokenExpired, Forbidden) as error:
        why = "The refresh token is over, was replaced, or is another app's"
        raise TokenRefused("invalid_grant", why, reason=error.reason, replay=error.replay) from None


async def revoke(ctx: RequestContext, app: OAuthApp, token: str) -> None:
    """Ends the session of an access or refresh token, if the app holds it; any other changes nothing."""
    try:
        session_id = await _session_of(ctx, token)
    except (InvalidToken, TokenExpired):
        return

    def work(unit: SystemUnit) -> None:
        bound = unit.of(app.tenant_id)
        found = sessions.read(unit, session_id)
        if found is None or found.tenant_id != app.tenant_id or device_sessions.app_of(bound, session_id) != app.id:
            return
        if sessions.end(bound, session_id, "signed_out", ctx.now):
            audit.record(bound, ctx, Event.SIGNED_OUT, f"user:{found.user_id}", session=session_id)

    await ctx.services.store.write(work)


async def _session_of(ctx: RequestContext, token: str) -> str:
    if token.startswith(_PREFIX):
        return (await tokens.read_refresh(ctx.services.tokens, Purpose.REFRESH, token, ctx.now)).session_id
    await ctx.services.keys.ensure_current()
    return (await ctx.services.verified.verify(Purpose.ACCESS, token, ctx.now)).session_id
