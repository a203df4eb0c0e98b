"""Sign-in, refresh and sign-out of system admins: the same rules as for users, with tables and keys of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

from manifest_auth import audit
from manifest_auth.accounts import admins
from manifest_auth.accounts.admins import Admin
from manifest_auth.audit import Event
from manifest_auth.errors import AccountDisabled, InvalidCredentials, InvalidToken, MfaRequired, Overloaded
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import RefreshToken, TokenPair
from manifest_auth.sign_in import admin_challenge
from manifest_auth.sign_in.admin_own_account import check_code
from manifest_auth.sign_in.completion import PasswordReplaced
from manifest_auth.sign_in.sign_in_metrics import counts, counts_refreshes
from manifest_auth.store import SystemUnit
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters, Wait

METHOD: Literal["admin"] = "admin"
T = TypeVar("T")


class Session(NamedTuple):
    """A session that was opened just now. ``refresh_id``: of its first refresh token, if it has tokens."""

    admin: Admin
    id: str
    refresh_id: str
    ends_at: int


#: Makes the result of a sign-in from the session, in the unit of work that opens it.
MakeResult = Callable[[SystemUnit, RequestContext, Session], T]


class SignedIn(NamedTuple):
    admin: Admin
    pair: TokenPair


def _tokens(unit: SystemUnit, ctx: RequestContext, session: Session) -> SignedIn:
    services, holder = ctx.services, tokens.Subject(session.id, session.admin.id, "", session.ends_at)
    kind = tokens.admins_kind(services.tokens)
    return SignedIn(session.admin, tokens.pair(services.tokens, kind, holder, session.refresh_id, None, ctx.now))


async def continue_sign_in(ctx: RequestContext, text: str, otp: str) -> SignedIn:
    """As :func:`prove_code`, with tokens as the result."""
    await ctx.services.keys.ensure_current()  # the new tokens are signed with a current key
    return await prove_code(ctx, text, otp, _tokens)


async def sign_in(ctx: RequestContext, username: str, password: str, otp: str | None = None) -> SignedIn:
    """As :func:`prove`, with tokens as the result."""
    await ctx.services.keys.ensure_current()
    return await prove(ctx, username, password, otp, _tokens)


@counts(METHOD)
async def prove_code(ctx: RequestContext, text: str, otp: str, make_result: MakeResult[T]) -> T:
    """Completes a sign-in with the challenge of ``MFA_REQUIRED`` (``text``) and a code. The throttle counts it as any
    other attempt.

    Raises InvalidToken, TokenExpired, AccountDisabled, MfaRequired, RateLimited.
    """
    presented = admin_challenge.take(ctx, text)
    found, counters = await _find_and_count(ctx, presented.username)
    if found is None:
        raise InvalidToken(reason="the challenge is over")

    def work(unit: SystemUnit) -> T:
        fresh = admins.get_locked(unit, found.id)
        admin_challenge.check(presented, fresh)
        return make_result(unit, ctx, _complete(unit, ctx, counters, fresh, otp, text))

    return await ctx.services.store.write(work)


async def _find_and_count(ctx: RequestContext, username: str) -> tuple[Admin | None, Counters]:
    """The admin of that name, or None, after the attempt was counted. Raises RateLimited."""
    services = ctx.services

    def find_and_count(unit: SystemUnit) -> tuple[Admin | None, Counters, Wait | None]:
        admin = admins.find(unit, username)
        seen = admins.addresses_of(unit, admin.id) if admin else []
        known = throttle.address_origin(ctx.address) if throttle.is_among(ctx.address, seen) else None
        counters = throttle.counters(METHOD, username.casefold(), ctx.address, known)
        wait = ctx.services.throttle.count(unit, counters, ctx.now)
        if wait:
            subject = f"admin:{admin.id}" if admin else ""
            installation = unit.of(audit.INSTALLATION)
            ctx.services.anonymous_limits.record(
                installation, ctx, Event.THROTTLED, subject, method=METHOD, wait_ms=wait.ms
            )
        return admin, counters, wait

    admin, counters, wait = await services.store.write(find_and_count)
    if wait:
        raise ctx.services.throttle.refusal(METHOD, wait)
    return admin, counters


@counts(METHOD)
async def prove(ctx: RequestContext, username: str, password: str, otp: str | None, make_result: MakeResult[T]) -> T:
    """Opens a session with a password; the result of ``make_result``. ``otp``: a code of the second factor, if the
    admin has one.

    Raises InvalidCredentials, AccountDisabled, MfaRequired, RateLimited, Overloaded.
    """
    ctx.services.hasher.check_capacity()
    admin, counters = await _find_and_count(ctx, username)
    while True:
        try:
            return await _prove_and_complete(ctx, counters, admin, password, otp, make_result)
        except PasswordReplaced as replaced:
            # Replaced while this one hashed: a parallel sign-in may have hashed the same password again.
            admin = admin._replace(password_hash=replaced.stored) if admin and replaced.stored else None


async def _prove_and_complete(
    ctx: RequestContext,
    counters: Counters,
    admin: Admin | None,
    password: str,
    otp: str | None,
    make_result: MakeResult[T],
) -> T:
    services = ctx.services
    proof = await throttle.prove(
        ctx.services.hasher, ctx.services.store, counters, admin.password_hash if admin else None, password
    )
    if admin is None or not proof.matches:
        subject = f"admin:{admin.id}" if admin else ""
        installation = audit.INSTALLATION
        await services.store.of(installation).write(
            lambda unit: ctx.services.anonymous_limits.record(unit, ctx, Event.SIGN_IN_FAILED, subject, method=METHOD)
        )
        raise InvalidCredentials("Invalid username or password")
    found = admin

    def work(unit: SystemUnit) -> T:
        fresh = admins.get_locked(unit, found.id)
        if fresh.password_hash != found.password_hash:
            raise PasswordReplaced(fresh.password_hash)
        return make_result(unit, ctx, _complete(unit, ctx, counters, fresh, otp))

    signed_in = await services.store.write(work)
    if proof.outdated:
        await _rehash(ctx, found, password)
    return signed_in


def _complete(
    unit: SystemUnit, ctx: RequestContext, counters: Counters, admin: Admin, otp: str | None, issued: str = ""
) -> Session:
    """Opens the session after the password was verified. ``issued``: the challenge that was sent; a retry returns the
    same one, so that its lifetime is not extended. Without a right code the attempt stays counted. Raises
    AccountDisabled, MfaRequired."""
    services, subject = ctx.services, f"admin:{admin.id}"
    if admin.disabled_at is not None:
        audit.record_installation(unit, ctx, Event.SIGN_IN_REFUSED, subject, method="admin")
        raise AccountDisabled()
    try:
        factor = check_code(unit, ctx, admin, otp)
    except InvalidCredentials as due:
        text = issued or admin_challenge.issue(ctx, admin)
        left_s = (admin_challenge.take(ctx, text).until - ctx.now) // 1000
        raise MfaRequired(text, due.details, due.reason, due.replay, expires_in=left_s) from None
    throttle.succeeded(unit, counters)
    session_id, refresh_id, ends_at = admins.open_session(
        unit, ctx, admin.id, random=services.random, most_s=services.settings.admin_session_ttl
    )
    admins.signed_in(unit, admin.id, ctx.now)
    detail = {"method": "admin", "session": session_id, "second_factor": factor}
    audit.record_installation(unit, ctx, Event.SIGNED_IN, subject, **detail)
    return Session(admin, session_id, refresh_id, ends_at)


async def _rehash(ctx: RequestContext, admin: Admin, password: str) -> None:
    try:
        fresh = await ctx.services.hasher.hash(password)
    except Overloaded:
        return  # the sign-in succeeds; the next one rehashes

    def work(unit: SystemUnit) -> None:
        if admins.rehash(unit, admin.id, admin.password_hash, fresh):
            audit.record_installation(unit, ctx, Event.PASSWORD_REHASHED, f"admin:{admin.id}")

    await ctx.services.store.write(work)


@counts_refreshes
async def refresh(ctx: RequestContext, text: str) -> TokenPair:
    """As the users' refresh. Raises InvalidToken, TokenExpired."""
    services, now = ctx.services, ctx.now
    kind = tokens.admins_kind(services.tokens)
    presented = await tokens.read_refresh(services.tokens, kind.refresh, text, now)
    session, ids = await services.store.write(lambda unit: _rotate(unit, ctx, presented, now))
    if ids is None:
        raise InvalidToken(reason="refresh token was replaced", replay="admin_refresh_token")
    holder = tokens.Subject(session.session_id, session.admin_id, "", session.ends_at)
    return tokens.pair(services.tokens, kind, holder, ids[0], ids[1], now)


def _alive(session: admins.AdminSession | None, now: int) -> admins.AdminSession:
    if session is None or not session.is_alive(now):
        raise InvalidToken(reason="refresh: admin or session is not alive")
    return session


def _rotate(
    unit: SystemUnit, ctx: RequestContext, presented: RefreshToken, now: int
) -> tuple[admins.AdminSession, tuple[str, str | None] | None]:
    session = _alive(admins.read(unit, presented.session_id), now)
    rotation = tokens.Rotation(
        lambda: _alive(admins.read(unit, presented.session_id), now).chain,
        lambda before, after: admins.advance(unit, presented.session_id, before, after, now),
        strict=False,
    )
    ids = tokens.rotate(ctx.services.tokens, presented, rotation, now)
    if ids is None:
        admins.end(unit, presented.session_id, "refresh_token_reused", now)
        subject = f"admin:{session.admin_id}"
        audit.record_installation(unit, ctx, Event.REFRESH_TOKEN_REUSED, subject, session=presented.session_id)
    return session, ids


async def sign_out(ctx: RequestContext) -> None:
    """Ends the admin's session under both keys; one that is over already gets an event as well, as users' do."""
    admin = ctx.admin

    def work(unit: SystemUnit) -> None:
        admins.end(unit, admin.session_id, "signed_out", ctx.now)
        subject = f"admin:{admin.admin_id}"
        audit.record_installation(unit, ctx, Event.SIGNED_OUT, subject, session=admin.session_id)

    await ctx.services.store.write(work)
