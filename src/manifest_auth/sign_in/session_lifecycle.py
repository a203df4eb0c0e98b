"""Refresh, sign-out, the caller's sessions, the callers that tokens identify, and changes of the caller's password."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import email_changes, factors, one_time_links, users
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.audit import Act, Event
from manifest_auth.context import Principal
from manifest_auth.errors import Forbidden, InvalidToken, TokenExpired, ValidationError
from manifest_auth.permissions import permissions_mask
from manifest_auth.protocols.oauth import TokenRefused
from manifest_auth.services import Owner, RequestContext
from manifest_auth.sessions import Chain, ListedSession, TokenOfService, device_sessions, tokens
from manifest_auth.sessions.tokens import RefreshToken, TokenPair
from manifest_auth.sessions.tokens.access import Verified
from manifest_auth.sessions.tokens.issue import Decision, decide
from manifest_auth.sign_in import password
from manifest_auth.sign_in.providers import entra_bearer
from manifest_auth.sign_in.sign_in_metrics import counts_refreshes
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _

# For sessions with an idle timeout under all keys, the last use is stored, at most once a minute. Other nodes are not
# notified of a use. So a node that knows only an older use reads the database before it treats a session as expired.


def touch_ms(idle_ms: int) -> int:
    """Returns how old a stored use can be before the next one is stored. ``idle_ms`` is the idle timeout."""
    return min(sessions.TOUCH_EVERY_MS, idle_ms // 2)


def is_due(ctx: RequestContext, principal: Principal) -> bool:
    """Whether a use must be stored, which means that the cached time might be outdated."""
    idle_s = principal.idle_s
    return idle_s is not None and ctx.now - principal.cookie_seen_at >= touch_ms(idle_s * 1000)


async def note_use(ctx: RequestContext, principal: Principal) -> None:
    """Stores that the session is used now, if that is due."""
    if is_due(ctx, principal):
        now, session_id = ctx.now, principal.session_id
        await ctx.services.store.of(principal.tenant_id).write_quickly(
            lambda unit: sessions.touch(unit, session_id, now)
        )
        ctx.services.principals.touched(principal, now)


# Bearer tokens of requests and introspected tokens are checked here, by the same rules.


async def of_user(ctx: RequestContext, token: str) -> tuple[Principal, Verified]:
    """Returns the user of an access token. Raises InvalidToken, TokenExpired."""
    services, now = ctx.services, ctx.now
    verified = await services.verified.verify(tokens.Purpose.ACCESS, token, now)
    principal = await services.principals.by_session(verified.session_id)
    if principal is not None and is_due(ctx, principal):  # another node might have stored a later use
        principal = await services.principals.fresh_by_session(verified.session_id)
    if principal is None or not principal.is_alive(now):
        raise InvalidToken(reason="the session, user, or client is no longer active")
    if principal.keys != services.keys.stamp:  # another process changed the keys: this one might be retired
        await services.keys.refresh()
        verified = await services.verified.verify(tokens.Purpose.ACCESS, token, now)
    if principal.user_id != verified.subject_id or principal.client != verified.client:
        raise InvalidToken(reason="the session belongs to another user")
    if principal.is_app != bool(verified.scope):
        raise InvalidToken(reason="an app's token for a user's session, or a user's token for an app's session")
    scopes = (principal.scopes or 0) & permissions_mask(verified.scope)
    if principal.scopes and scopes != principal.scopes:  # an app can request a token with fewer permissions
        principal = principal._replace(scopes=scopes)
    return principal, verified


async def of_service(ctx: RequestContext, token: str) -> tuple[Principal, TokenOfService]:
    """Returns the service account of a token. Raises InvalidToken, TokenExpired."""
    services, now = ctx.services, ctx.now
    verified = await services.service_tokens.verify(token, now)
    principal = await services.principals.by_service_token(verified)
    if principal is None or not principal.is_alive(now):
        raise InvalidToken(reason="service token: revoked, or the account or client is no longer active")
    if principal.keys != services.keys.stamp:
        await services.keys.refresh()
        verified = await services.service_tokens.verify(token, now)
    if principal.client != verified.client:
        raise InvalidToken(reason="service token: belongs to a different client")
    return principal, verified


async def session_of(ctx: RequestContext, token: str) -> str:
    """Returns the session of an access or refresh token, even if the session has ended. Raises InvalidToken,
    TokenExpired."""
    if token.startswith(tokens.REFRESH_PREFIX):
        return (await tokens.read_refresh(ctx.services.tokens, tokens.Purpose.REFRESH, token, ctx.now)).session_id
    await ctx.services.keys.ensure_current()
    return (await ctx.services.verified.verify(tokens.Purpose.ACCESS, token, ctx.now)).session_id


LIST_LIMIT = 100


class AppRefresh(NamedTuple):
    """An authenticated app that sends a refresh token. ``strict``: see :func:`_is_strict`."""

    app_id: str
    tenant_id: int
    strict: bool = False


async def refresh(ctx: RequestContext, text: str, app: AppRefresh | None = None) -> tuple[TokenPair, Principal]:
    """Returns a new pair for a refresh token, and its owner. Raises InvalidToken, TokenExpired, Forbidden.

    User, client and session are checked again. The usual case is one conditional statement, for a caller who can be
    cached. It changes nothing unless session, user, client and chain are as expected; otherwise they are read. A
    refresh with the current token costs no write. Everything else is decided inside one unit of work, where a reuse
    ends the session.
    """
    services, now = ctx.services, ctx.now
    principal, own, parent = await renew(ctx, text, app)
    lengths = tenants.lengths_of(tenants.settings_of(principal.tenant_settings), services.settings)
    holder = tokens.Subject(principal.session_id, principal.user_id, principal.client, principal.ends_at)
    kind = tokens.users_kind(services.tokens, lengths.refresh_seconds)
    return tokens.pair(services.tokens, kind, holder, own, parent, now), principal


#: The owner of the session, and the IDs of the token to issue and of its parent.
_Refreshed = tuple[Principal, str, str | None]


@contextlib.contextmanager
def told_to_apps() -> Iterator[None]:
    """Turns the refusal of a refresh token into TokenRefused, as apps get it."""
    try:
        yield
    except (InvalidToken, TokenExpired, Forbidden) as error:
        why = "The refresh token is expired, was replaced, or belongs to a different app"
        raise TokenRefused("invalid_grant", why, reason=error.reason, replay=error.replay) from None


@counts_refreshes
async def renew(ctx: RequestContext, text: str, app: AppRefresh | None = None) -> _Refreshed:
    """Advances the chain of a refresh token, as :func:`refresh` does. ``app`` is the app that sends it; an app's token
    works only for that app."""
    presented = await tokens.read_refresh(ctx.services.tokens, tokens.Purpose.REFRESH, text, ctx.now)
    if app is not None:
        held = await ctx.services.store.of(app.tenant_id).read(
            lambda unit: device_sessions.app_of(unit, presented.session_id)
        )
        if held != app.app_id:
            raise InvalidToken(reason="refresh token: belongs to a different app")
    refreshed = await _at_once(ctx, presented, app) or await _decided(ctx, presented, app)
    await note_use(ctx, refreshed[0])
    return refreshed


def _is_strict(principal: Principal, app: AppRefresh | None) -> bool:
    """Whether the token ends when its child is issued."""
    return tenants.settings_of(principal.tenant_settings).refresh_strict or (app is not None and app.strict)


async def _at_once(ctx: RequestContext, presented: RefreshToken, app: AppRefresh | None) -> _Refreshed | None:
    """Advances the chain in its usual state: the token's first use, or the current token if the client is strict. None
    in any other state, or if session, user or client is not active."""
    seen, now = await ctx.services.principals.by_session(presented.session_id), ctx.now
    if seen is None or not seen.is_alive(now):
        return None
    is_strict = _is_strict(seen, app)
    if presented.is_first and not is_strict:  # nobody replaces a session's first token before its child is used
        return None
    _check_holder(ctx, seen, app)
    child = ctx.services.random.text(12)
    before, after = (presented.own, child) if is_strict else (presented.parent, presented.own)
    if not await sessions.advance_at_once(ctx.services.store.of(seen.tenant_id), seen, before, after, now):
        return None
    return seen, child, presented.own


async def _decided(ctx: RequestContext, presented: RefreshToken, app: AppRefresh | None) -> _Refreshed:
    """Decides by the current state of the database. Raises InvalidToken, Forbidden."""
    services, now = ctx.services, ctx.now
    seen, chain = await sessions.look_up_with_chain(services.store, presented.session_id)
    ctx.owner = None if seen is None else Owner(seen.tenant_settings, seen.roles)
    if seen is not None and now < seen.ends_at and not seen.is_alive(now):
        actor, why = f"user:{seen.user_id}", "refresh: the session, user, or client is no longer active"
        await ctx.services.refusals.put(
            ctx, seen.tenant_id, actor, Event.ACCESS_REFUSED, why, "/api/client/auth/refresh"
        )
    principal = _alive(seen, now)
    _check_holder(ctx, principal, app)
    grace_ms = services.settings.refresh_grace * 1000
    is_strict = _is_strict(principal, app)
    if decide(presented, chain, now, grace_ms, strict=is_strict) is Decision.CHILD:
        return principal, services.random.text(12), presented.own
    ids = await services.store.write_quickly(lambda unit: _rotate(unit, ctx, presented, now, strict=is_strict))
    if ids is None:
        who = {"client": principal.client, "user": principal.user_id, "session": presented.session_id}
        services.log.warning("refresh_token_reused", request_id=ctx.request_id, **who, address=ctx.address)
        raise InvalidToken(reason="the refresh token was replaced", replay="refresh_token")
    return principal, *ids


def _check_holder(ctx: RequestContext, principal: Principal, app: AppRefresh | None) -> None:
    """Raises Forbidden if the request names another client, InvalidToken if an app's token comes from someone else."""
    if principal.is_app and app is None:
        raise InvalidToken(reason="refresh token: belongs to an app that didn't send it")
    ctx.owner = Owner(principal.tenant_settings, principal.roles)
    if ctx.client_header is not None:
        ctx.client_hint.check(principal.client, principal.tenant_id, "refresh token")


def _alive(principal: Principal | None, now: int) -> Principal:
    if principal is None or not principal.is_alive(now):
        raise InvalidToken(reason="refresh: the session, user, or client is no longer active")
    return principal


def _rotate(
    unit: SystemUnit, ctx: RequestContext, presented: RefreshToken, now: int, *, strict: bool
) -> tuple[str, str | None] | None:
    principal = _alive(sessions.read(unit, presented.session_id), now)
    bound = unit.of(principal.tenant_id)

    def chain() -> Chain:
        seen, found = sessions.read_with_chain(unit, presented.session_id)
        _alive(seen, now)
        return found

    def advance(before: str, after: str) -> bool:
        return sessions.advance(bound, presented.session_id, before, after, now)

    ids = tokens.rotate(ctx.services.tokens, presented, chain, advance, now, strict=strict)
    if ids is None:
        sessions.end(bound, presented.session_id, "refresh_token_reused", now)
        audit.record(bound, ctx, Event.REFRESH_TOKEN_REUSED, f"user:{principal.user_id}", session=presented.session_id)
    return ids


async def sign_out(ctx: RequestContext) -> None:
    """Ends the caller's session under all three keys.

    A session that has already ended also gets an event, because a standby might not have the state that this unit reads
    until this commit.
    """
    user = ctx.user

    def work(unit: TenantUnit) -> None:
        if user.method == entra_bearer.METHOD:
            entra_bearer.sign_out(unit, ctx)
        else:
            sessions.end(unit, user.session_id, "signed_out", ctx.now)
            audit.record(unit, ctx, Event.SIGNED_OUT, f"user:{user.user_id}", session=user.session_id)

    await ctx.store.write_quickly(work)


async def end_beside(ctx: RequestContext, cookies: tuple[str, ...]) -> None:
    """Ends the sessions that the browser of a sign-out has for apps of other clients, on behalf of their users."""

    def work(unit: SystemUnit, cookie: str) -> None:
        if (ended := sessions.end_by_cookie(unit, cookie, ctx.now, "signed_out")) is not None:
            bound, user_id, session_id = ended
            who = ctx.origin._replace(actor=f"user:{user_id}")
            audit.record(bound, who, Event.SIGNED_OUT, who.actor, session=session_id)

    for cookie in cookies:
        await ctx.services.store.write_quickly(partial(work, cookie=cookie))


async def sign_out_all(ctx: RequestContext) -> int:
    """Ends all sessions of the caller, including the current one, and everything pending that they might have started.
    Returns the number of ended sessions. Raises Forbidden for a device, which can sign out only itself."""
    step_up.not_for_devices(ctx)
    user = ctx.user

    def work(unit: TenantUnit) -> int:
        if user.method == entra_bearer.METHOD:
            entra_bearer.sign_out(unit, ctx)
        ended = sessions.end_all(unit, user.user_id, "signed_out_all", ctx.now)
        factors.trusted_browsers.end_all(unit, user.user_id)
        email_changes.close_pending(unit, user.user_id, ctx.now)
        audit.record(unit, ctx, Event.SIGNED_OUT_ALL, f"user:{user.user_id}", sessions=ended)
        return ended

    return await ctx.store.write(work)


async def sign_out_others(ctx: RequestContext) -> int:
    """Ends all other sessions of the caller, and a pending email change. Returns the number of ended sessions. Raises
    ReauthenticationRequired."""
    step_up.check(ctx, Act.SESSIONS)
    user = ctx.user

    def work(unit: TenantUnit) -> int:
        ended = sessions.end_all(unit, user.user_id, "signed_out_all", ctx.now, but=user.session_id)
        email_changes.close_pending(unit, user.user_id, ctx.now)
        audit.record(unit, ctx, Event.SIGNED_OUT_ALL, f"user:{user.user_id}", sessions=ended, but=user.session_id)
        return ended

    return await ctx.store.write(work)


async def list_sessions(ctx: RequestContext) -> list[ListedSession]:
    """Lists the caller's open sessions, newest first."""
    return await ctx.store.read(lambda unit: sessions.list_open(unit, ctx.user.user_id, ctx.now, LIST_LIMIT))


async def end_one(ctx: RequestContext, session_id: str) -> None:
    """Ends one of the caller's own sessions. Raises NotFound for any other, SessionOver, ReauthenticationRequired."""
    user = ctx.user
    step_up.check(ctx, Act.SESSIONS, needed=session_id != user.session_id)

    def work(unit: TenantUnit) -> None:
        sessions.end_one(unit, user.user_id, session_id, "ended", ctx.now)
        audit.record(unit, ctx, Event.SESSION_ENDED, f"user:{user.user_id}", session=session_id)

    await ctx.store.write(work)


async def change_password(ctx: RequestContext, current: str, new: str) -> None:
    """Sets a new password and ends all other sessions of the caller. ``current`` is verified, and its attempts are
    throttled.

    Raises InvalidCredentials, ValidationError under the tenant's rules, RateLimited, Overloaded, and
    ReauthenticationRequired for a caller who has a second factor.
    """
    step_up.check(ctx, Act.PASSWORD)
    services, caller = ctx.services, ctx.user
    proved = await password.prove_current(ctx, current)
    user = proved.user
    try:
        if new == current:
            raise ValidationError(details=[("newPassword", _("Must be different from the current password"))])
        fresh = await password.hash_of_new(ctx, user, new, "newPassword")
    except ValidationError:
        await services.store.write_quickly(proved.was_right)
        raise

    def work(unit: SystemUnit) -> None:
        bound = unit.of(caller.tenant_id)
        now_user = users.get(bound, caller.user_id, lock=True)
        audit.check_is_open(bound, ctx, may_end=True)
        proved.check_again(unit, now_user)
        users.set_password(bound, now_user, fresh, ctx.now)
        one_time_links.close(bound, caller.user_id, ctx.now, Purpose.RESET)
        email_changes.close_pending(bound, caller.user_id, ctx.now)
        ended = sessions.end_all(bound, caller.user_id, "password_changed", ctx.now, but=caller.session_id)
        audit.record(bound, ctx, Event.PASSWORD_CHANGED, f"user:{caller.user_id}", sessions_ended=ended)

    await services.store.write(work)
