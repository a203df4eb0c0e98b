"""Refresh, sign-out, the caller's sessions, and the change of the caller's password."""

from __future__ import annotations

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import factors, one_time_links, users
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.audit import Act, Event
from manifest_auth.context import Principal
from manifest_auth.errors import InvalidToken, ValidationError
from manifest_auth.services import Owner, RequestContext
from manifest_auth.sessions import SessionRow, chain_of, tokens
from manifest_auth.sessions.tokens import RefreshToken, TokenPair
from manifest_auth.sessions.tokens.refresh import Decision, decide
from manifest_auth.sign_in import current_password, new_password
from manifest_auth.sign_in.providers import entra_bearer
from manifest_auth.sign_in.sign_in_metrics import counts_refreshes
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up

LIST_LIMIT = 100


@counts_refreshes
async def refresh(ctx: RequestContext, text: str) -> TokenPair:
    """A new pair for a refresh token. Raises InvalidToken, TokenExpired, Forbidden.

    User, client and session are read again. A refresh with the current token costs no write. Everything else is decided
    inside one unit of work, and a reuse ends the session there.
    """
    services, now = ctx.services, ctx.now
    presented = await tokens.read_refresh(services.tokens, tokens.Purpose.REFRESH, text, now)
    seen = await sessions.look_up(services.store, presented.session_id)
    ctx.owner = None if seen is None else Owner(seen.tenant_settings, seen.roles)
    if seen is not None and now < seen.ends_at and not seen.is_alive(now):
        actor, why = f"user:{seen.user_id}", "refresh: session, user or client is not alive"
        await ctx.services.refusals.put(
            ctx, seen.tenant_id, actor, Event.ACCESS_REFUSED, why, "/api/client/auth/refresh"
        )
    principal = _alive(seen, now)
    if ctx.client_header is not None:
        ctx.client_hint.check(principal.client, principal.tenant_id, "refresh token")
    rules = tenants.settings_of(principal.tenant_settings)
    grace_ms = services.settings.refresh_grace * 1000
    decision = decide(presented, chain_of(principal), now, grace_ms, strict=rules.refresh_strict)
    ids = await _next(ctx, presented, decision, principal, now)
    if ids is None:
        services.log.warning("refresh_token_reused", request_id=ctx.request_id, client=principal.client,
                          user=principal.user_id, session=presented.session_id, address=ctx.address)  # fmt: skip
        raise InvalidToken(reason="refresh token was replaced", replay="refresh_token")
    holder = tokens.Subject(presented.session_id, principal.user_id, principal.client, principal.ends_at)
    kind = tokens.users_kind(services.tokens, tenants.lengths_of(rules, services.settings).refresh_s)
    return tokens.pair(services.tokens, kind, holder, ids[0], ids[1], now)


def _alive(principal: Principal | None, now: int) -> Principal:
    if principal is None or not principal.is_alive(now):
        raise InvalidToken(reason="refresh: session, user or client is not alive")
    return principal


async def _next(
    ctx: RequestContext, presented: RefreshToken, decision: Decision, seen: Principal, now: int
) -> tuple[str, str | None] | None:
    """Id and parent id of the token to issue, or None for a reuse. The usual cases are one conditional statement, which
    changes nothing when session or chain are no longer as ``seen``; then everything is decided again."""
    store, child = ctx.services.store.of(seen.tenant_id), ctx.services.random.text(12)
    strict = tenants.settings_of(seen.tenant_settings).refresh_strict
    if decision is Decision.CHILD:
        return child, presented.own
    commits, succeeds = decision is Decision.COMMIT and not strict, decision is Decision.SUCCEED
    if commits and await sessions.advance_at_once(store, presented.session_id, presented.parent, presented.own, now):
        return child, presented.own
    if succeeds and await sessions.advance_at_once(store, presented.session_id, presented.own, child, now):
        return child, presented.own
    return await ctx.services.store.write_quickly(lambda unit: _rotate(unit, ctx, presented, now))


def _rotate(unit: SystemUnit, ctx: RequestContext, presented: RefreshToken, now: int) -> tuple[str, str | None] | None:
    principal = _alive(sessions.read(unit, presented.session_id), now)
    bound = unit.of(principal.tenant_id)
    rotation = tokens.Rotation(
        lambda: chain_of(_alive(sessions.read(unit, presented.session_id), now)),
        lambda before, after: sessions.advance(bound, presented.session_id, before, after, now),
        tenants.settings_of(principal.tenant_settings).refresh_strict,
    )
    ids = tokens.rotate(ctx.services.tokens, presented, rotation, now)
    if ids is None:
        sessions.end(bound, presented.session_id, "refresh_token_reused", now)
        subject = f"user:{principal.user_id}"
        audit.record(bound, ctx, Event.REFRESH_TOKEN_REUSED, subject, session=presented.session_id)
    return ids


async def sign_out(ctx: RequestContext) -> None:
    """Ends the caller's session under all three keys."""
    user = ctx.user

    def work(unit: TenantUnit) -> None:
        if user.method == entra_bearer.METHOD:
            entra_bearer.sign_out(unit, ctx)
        elif sessions.end(unit, user.session_id, "signed_out", ctx.now):
            audit.record(unit, ctx, Event.SIGNED_OUT, f"user:{user.user_id}", session=user.session_id)

    await ctx.store.write_quickly(work)


async def sign_out_all(ctx: RequestContext) -> int:
    """Ends all sessions of the caller, the current one too; the number of sessions that ended."""
    user = ctx.user

    def work(unit: TenantUnit) -> int:
        if user.method == entra_bearer.METHOD:
            entra_bearer.sign_out(unit, ctx)
        ended = sessions.end_all(unit, user.user_id, "signed_out_all", ctx.now)
        factors.forget_browsers(unit, user.user_id)
        audit.record(unit, ctx, Event.SIGNED_OUT_ALL, f"user:{user.user_id}", sessions=ended)
        return ended

    return await ctx.store.write(work)


async def sign_out_others(ctx: RequestContext) -> int:
    """Ends all sessions of the caller but this one. Number of sessions that were ended. Raises
    ReauthenticationRequired."""
    step_up.check(ctx, Act.SESSIONS)
    user = ctx.user

    def work(unit: TenantUnit) -> int:
        ended = sessions.end_all(unit, user.user_id, "signed_out_all", ctx.now, but=user.session_id)
        audit.record(unit, ctx, Event.SIGNED_OUT_ALL, f"user:{user.user_id}", sessions=ended, but=user.session_id)
        return ended

    return await ctx.store.write(work)


async def list_sessions(ctx: RequestContext) -> list[SessionRow]:
    """The caller's open sessions, newest first."""
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

    Raises InvalidCredentials, ValidationError by the tenant's rules, RateLimited, Overloaded, and for a
    caller who has a second factor ReauthenticationRequired.
    """
    step_up.check(ctx, Act.PASSWORD)
    services, caller = ctx.services, ctx.user
    proved = await current_password.prove(ctx, current)
    user = proved.user
    try:
        if new == current:
            raise ValidationError(details=[("newPassword", "Must differ from the current one")])
        fresh = await new_password.hash_of(ctx, user, new, "newPassword")
    except ValidationError:
        await services.store.write_quickly(proved.was_right)
        raise

    def work(unit: SystemUnit) -> None:
        bound = unit.of(caller.tenant_id)
        now_user = users.get(bound, caller.user_id, lock=True)
        proved.check_again(unit, now_user)
        users.set_password(bound, now_user, fresh, ctx.now)
        one_time_links.close(bound, caller.user_id, ctx.now, Purpose.RESET)
        users.email_changes.close_pending(bound, caller.user_id, ctx.now)
        ended = sessions.end_all(bound, caller.user_id, "password_changed", ctx.now, but=caller.session_id)
        audit.record(bound, ctx, Event.PASSWORD_CHANGED, f"user:{caller.user_id}", sessions_ended=ended)

    await services.store.write(work)
