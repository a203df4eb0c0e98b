"""Sign-in of system admins to the pages of the installation, with a cookie that is valid for these pages only.

The session has no tokens, so it is not valid for ``/api/admin``, which reads bearer tokens only, and a page of another
site cannot make a browser act there. The cookie is ``SameSite=Strict`` and expires after half an hour without use.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.accounts import admins
from manifest_auth.accounts.admins import Admin, console
from manifest_auth.context import AdminCaller
from manifest_auth.errors import InvalidToken, TokenExpired, Unauthenticated
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_sign_in
from manifest_auth.sign_in.admin_sign_in import Session
from manifest_auth.store import SystemUnit

_MOST_COOKIE = 256


class Opened(NamedTuple):
    """``cookie``: 256 random bits, stored only as a hash."""

    admin: Admin
    cookie: str


async def sign_in(
    ctx: RequestContext, username: str, password: str, otp: str | None = None, shown: str | None = None
) -> Opened:
    """Signs in with a password. ``otp``: a code of the second factor, if the admin has one. ``shown``: the cookie of
    the request; its session ends and is never reused.

    Raises InvalidCredentials, AccountDisabled, MfaRequired, RateLimited, Overloaded.
    """
    return await admin_sign_in.prove(ctx, username, password, otp, _cookie_of_session(shown))


async def continue_sign_in(ctx: RequestContext, challenge: str, otp: str, shown: str | None = None) -> Opened:
    """Finishes a sign-in after MfaRequired. Raises InvalidToken, TokenExpired, AccountDisabled, MfaRequired,
    RateLimited."""
    return await admin_sign_in.prove_code(ctx, challenge, otp, _cookie_of_session(shown))


def _cookie_of_session(shown: str | None) -> admin_sign_in.MakeResult[Opened]:
    def make_result(unit: SystemUnit, ctx: RequestContext, session: Session) -> Opened:
        if shown and (old := console.find(unit, shown)) is not None:
            admins.end(unit, old.session_id, "replaced", ctx.now)
        cookie = ctx.services.random.text(32)
        console.begin(unit, session.id, cookie, ctx.now, min(session.ends_at, ctx.now + console.MOST_S * 1000))
        return Opened(session.admin, cookie)

    return make_result


async def identify(ctx: RequestContext, cookie: str | None) -> AdminCaller:
    """The system admin of a request for a page, by the value of the cookie; renews its idle time. Raises
    Unauthenticated, InvalidToken, TokenExpired."""
    if cookie is None:
        raise Unauthenticated()
    if not cookie or len(cookie) > _MOST_COOKIE:
        raise InvalidToken(reason="admin cookie: shape")
    now, store = ctx.now, ctx.services.store
    session = await console.look_up(store, cookie)
    if session is None or session.ended_at is not None or session.disabled_at is not None:
        raise InvalidToken(reason="admin cookie: session or admin is not alive")
    if not session.is_alive(now):
        raise TokenExpired(reason="admin cookie: too old, or idle for too long")
    if console.is_to_touch(session, now):
        await store.write_quickly(lambda unit: console.touch(unit, session.session_id, now))
    return session.caller
