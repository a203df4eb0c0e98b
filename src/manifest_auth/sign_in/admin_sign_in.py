"""Sign-in, refresh and sign-out of system admins, with tokens and on the pages of the installation."""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

import orjson

from manifest_auth import audit
from manifest_auth.accounts import admins
from manifest_auth.accounts.admins import Admin, management
from manifest_auth.audit import Event
from manifest_auth.context import AdminCaller
from manifest_auth.errors import (
    AccountDisabled,
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    Overloaded,
    TokenExpired,
    Unauthenticated,
)
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import MINUTE
from manifest_auth.runtime.tracing import spanned
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import RefreshToken, TokenPair
from manifest_auth.sign_in.admin_accounts import check_code
from manifest_auth.sign_in.completion import PasswordReplaced
from manifest_auth.sign_in.sign_in_metrics import counts, counts_refreshes
from manifest_auth.store import SystemUnit
from manifest_auth.text import base64url
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters, Wait

# The challenge of ``MFA_REQUIRED`` is sealed text that names the admin; no row stores it. It expires after
# :data:`LIFE_S` seconds, with the next sign-in, or when the password changes. Without a code it opens nothing.

LIFE_S = 5 * MINUTE
_SEALED_FOR = "admin_sign_in/challenge"


class Challenge(NamedTuple):
    """A challenge that was read. ``proof``: SHA-256 of the password hash that matched; ``since``: time of the previous
    sign-in; ``until``: when the challenge expires, in milliseconds."""

    admin_id: int
    username: str
    proof: str
    since: int | None
    until: int


def take_challenge(ctx: RequestContext, text: str) -> Challenge:
    """Reads a challenge. Raises InvalidToken for text that this server did not issue, and TokenExpired."""
    try:
        found = Challenge(*orjson.loads(ctx.services.sealer.open(base64url.decode(text), _SEALED_FOR)))
    except (ValueError, CannotOpen):
        raise InvalidToken(reason="unknown challenge") from None
    if found.until <= ctx.now:
        raise TokenExpired()
    return found


def _state(admin: Admin) -> tuple[int, str, str, int | None]:
    proof = hashlib.sha256(admin.password_hash.encode()).hexdigest()
    return admin.id, admin.username, proof, admin.last_sign_in_at


METHOD: Literal["admin"] = "admin"


class Session(NamedTuple):
    """A newly opened session. ``refresh_id`` is the ID of its first refresh token. ``cookie`` belongs to a session on
    the pages: 256 random bits, stored only as a hash, or empty for a session with tokens."""

    admin: Admin
    id: str
    refresh_id: str
    ends_at: int
    cookie: str


def pair_of(ctx: RequestContext, session: Session) -> TokenPair:
    """Returns the first tokens of a newly opened session."""
    holder = tokens.Subject(session.id, session.admin.id, "", session.ends_at)
    kind = tokens.admins_kind(ctx.services.tokens)
    return tokens.pair(ctx.services.tokens, kind, holder, session.refresh_id, None, ctx.now)


@counts(METHOD)
async def continue_sign_in(ctx: RequestContext, text: str, otp: str, shown: str | None = None) -> Session:
    """Completes a sign-in with the challenge of ``MFA_REQUIRED`` (``text``) and a code. It counts toward the rate
    limits like any other attempt. ``shown`` is the same as for :func:`sign_in`.

    Raises InvalidToken, TokenExpired, AccountDisabled, MfaRequired, RateLimited.
    """
    await ctx.services.keys.ensure_current()  # the new tokens are signed with a current key
    presented = take_challenge(ctx, text)
    found, counters = await _find_and_count(ctx, presented.username)
    if found is None:
        raise InvalidToken(reason="the challenge is no longer valid")

    def work(unit: SystemUnit) -> Session:
        fresh = admins.get_locked(unit, found.id)
        if presented[:-1] != _state(fresh):  # already used, or the password has changed since
            raise InvalidToken(reason="the challenge is no longer valid")
        return _complete(unit, ctx, counters, fresh, otp, shown, text)

    return await ctx.services.store.write(work)


async def _find_and_count(ctx: RequestContext, username: str) -> tuple[Admin | None, Counters]:
    """Counts the attempt, then returns the admin of that name, or None. Raises RateLimited."""
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
async def sign_in(
    ctx: RequestContext, username: str, password: str, otp: str | None = None, shown: str | None = None
) -> Session:
    """Opens a session with a password. ``otp`` is a code of the second factor, if the admin has one. ``shown`` is None
    for a session with tokens; otherwise it is the cookie of the page request, possibly empty, whose session ends and is
    never reused.

    Raises InvalidCredentials, AccountDisabled, MfaRequired, RateLimited, Overloaded.
    """
    await ctx.services.keys.ensure_current()
    ctx.services.hasher.check_capacity()
    admin, counters = await _find_and_count(ctx, username)
    while True:
        try:
            return await _prove_and_complete(ctx, counters, admin, password, otp, shown)
        except PasswordReplaced as replaced:
            # The password was replaced during hashing: a parallel sign-in might have rehashed the same one.
            admin = admin._replace(password_hash=replaced.stored) if admin and replaced.stored else None


async def _prove_and_complete(
    ctx: RequestContext, counters: Counters, admin: Admin | None, password: str, otp: str | None, shown: str | None
) -> Session:
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
        why = f"password: incorrect, {subject}" if subject else "password: unknown system admin"
        raise InvalidCredentials(_("Invalid username or password"), reason=why)
    found = admin

    def work(unit: SystemUnit) -> Session:
        fresh = admins.get_locked(unit, found.id)
        if fresh.password_hash != found.password_hash:
            raise PasswordReplaced(fresh.password_hash)
        return _complete(unit, ctx, counters, fresh, otp, shown)

    session = await services.store.write(work)
    if proof.outdated:
        await _rehash(ctx, found, password)
    return session


@spanned("finish")
def _complete(
    unit: SystemUnit,
    ctx: RequestContext,
    counters: Counters,
    admin: Admin,
    otp: str | None,
    shown: str | None,
    issued: str = "",
) -> Session:
    """Opens the session after the password was verified. ``issued`` is the challenge that was sent; a retry returns the
    same one, which does not extend its lifetime. Without a correct code the attempt stays counted. Raises
    AccountDisabled, MfaRequired."""
    services, subject = ctx.services, f"admin:{admin.id}"
    if admin.disabled_at is not None:
        audit.record_installation(unit, ctx, Event.SIGN_IN_REFUSED, subject, method="admin")
        raise AccountDisabled()
    try:
        factor = check_code(unit, ctx, admin, otp)
    except InvalidCredentials as due:
        made = orjson.dumps([*_state(admin), ctx.now + LIFE_S * 1000])
        text = issued or base64url.encode(services.sealer.seal(made, _SEALED_FOR))
        left_s = (take_challenge(ctx, text).until - ctx.now) // 1000
        raise MfaRequired(text, due.details, due.reason, due.replay, expires_in=left_s) from None
    throttle.succeeded(unit, counters)
    session_id, refresh_id, ends_at = admins.open_session(
        unit, ctx, admin.id, random=services.random, most_s=services.settings.admin_session_ttl
    )
    admins.signed_in(unit, admin.id, ctx.now)
    detail = {"method": "admin", "session": session_id, "second_factor": factor}
    audit.record_installation(unit, ctx, Event.SIGNED_IN, subject, **detail)
    if shown is None:
        return Session(admin, session_id, refresh_id, ends_at, "")
    if shown and (old := management.find(unit, shown)) is not None:
        admins.end(unit, old.session_id, "replaced", ctx.now)
    cookie = services.random.text(32)
    management.begin(unit, session_id, cookie, ctx.now, min(ends_at, ctx.now + management.MOST_S * 1000))
    return Session(admin, session_id, refresh_id, ends_at, cookie)


async def _rehash(ctx: RequestContext, admin: Admin, password: str) -> None:
    try:
        fresh = await ctx.services.hasher.hash(password)
    except Overloaded:
        return  # the sign-in succeeds, and the next one rehashes

    def work(unit: SystemUnit) -> None:
        if admins.rehash(unit, admin.id, admin.password_hash, fresh):
            audit.record_installation(unit, ctx, Event.PASSWORD_REHASHED, f"admin:{admin.id}")

    await ctx.services.store.write(work)


@counts_refreshes
async def refresh(ctx: RequestContext, text: str) -> TokenPair:
    """Refreshes the tokens as for users. Raises InvalidToken, TokenExpired."""
    services, now = ctx.services, ctx.now
    kind = tokens.admins_kind(services.tokens)
    presented = await tokens.read_refresh(services.tokens, kind.refresh, text, now)
    session, ids = await services.store.write(lambda unit: _rotate(unit, ctx, presented, now))
    if ids is None:
        raise InvalidToken(reason="the refresh token was replaced", replay="admin_refresh_token")
    holder = tokens.Subject(session.session_id, session.admin_id, "", session.ends_at)
    return tokens.pair(services.tokens, kind, holder, ids[0], ids[1], now)


def _alive(session: admins.AdminSession | None, now: int) -> admins.AdminSession:
    if session is None or not session.is_alive(now):
        raise InvalidToken(reason="refresh: the admin or session is no longer active")
    return session


def _rotate(
    unit: SystemUnit, ctx: RequestContext, presented: RefreshToken, now: int
) -> tuple[admins.AdminSession, tuple[str, str | None] | None]:
    session = _alive(admins.read(unit, presented.session_id), now)
    ids = tokens.rotate(
        ctx.services.tokens,
        presented,
        lambda: _alive(admins.read(unit, presented.session_id), now).chain,
        lambda before, after: admins.advance(unit, presented.session_id, before, after, now),
        now,
        strict=False,
    )
    if ids is None:
        admins.end(unit, presented.session_id, "refresh_token_reused", now)
        subject = f"admin:{session.admin_id}"
        audit.record_installation(unit, ctx, Event.REFRESH_TOKEN_REUSED, subject, session=presented.session_id)
    return session, ids


async def sign_out(ctx: RequestContext) -> None:
    """Ends the admin's session under both keys. As for users, a session that has already ended gets an event too."""
    admin = ctx.admin

    def work(unit: SystemUnit) -> None:
        admins.end(unit, admin.session_id, "signed_out", ctx.now)
        audit.record_installation(unit, ctx, Event.SIGNED_OUT, f"admin:{admin.admin_id}", session=admin.session_id)

    await ctx.services.store.write(work)


# A session on the pages of the installation has no tokens, so it is not valid for ``/api/admin``, which reads only
# bearer tokens, and a page of another site cannot make a browser act there. The cookie is ``SameSite=Strict`` and
# expires after half an hour without use.

_MOST_COOKIE = 256


async def identify(ctx: RequestContext, cookie: str | None) -> AdminCaller:
    """Returns the system admin who requests a page, from the value of the cookie, and renews the idle time. Raises
    Unauthenticated, InvalidToken, TokenExpired."""
    if cookie is None:
        raise Unauthenticated()
    if not cookie or len(cookie) > _MOST_COOKIE:
        raise InvalidToken(reason="admin cookie: invalid format")
    now, store = ctx.now, ctx.services.store
    session = await management.look_up(store, cookie)
    if session is None or session.ended_at is not None or session.disabled_at is not None:
        raise InvalidToken(reason="admin cookie: the session or admin is no longer active")
    if not session.is_alive(now):
        raise TokenExpired(reason="admin cookie: too old, or idle for too long")
    if management.is_to_touch(session, now):
        await store.write_quickly(lambda unit: management.touch(unit, session.session_id, now))
    return session.caller
