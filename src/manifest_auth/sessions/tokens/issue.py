"""Issues tokens for a session, and rotates its refresh token, with the same rule for users and for system admins.

The two differ in the session's table; they pass in a :class:`Rotation`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth.errors import InvalidToken
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import Settings
from manifest_auth.sessions import Chain
from manifest_auth.sessions.tokens import access, refresh
from manifest_auth.sessions.tokens.keys import KeyRing, Purpose
from manifest_auth.sessions.tokens.refresh import Decision, RefreshToken


class TokenKind(NamedTuple):
    """Purposes and lifetimes (seconds) of the tokens of users, or of system admins."""

    access: Purpose
    refresh: Purpose
    access_ttl: int
    refresh_ttl: int


class TokenPair(NamedTuple):
    """The tokens of a sign-in or refresh; ``expires_in``: seconds, of the access token."""

    token: str
    refresh_token: str
    expires_in: int


class Subject(NamedTuple):
    """The session and its user. ``client``: the tenant's identifier, empty for a system admin."""

    session_id: str
    id: int
    client: str
    ends_at: int


class TokenTools(NamedTuple):
    """The services that issue and verify tokens."""

    settings: Settings
    keys: KeyRing
    random: Random


class Rotation(NamedTuple):
    """How to read and advance the session's refresh tokens within the open unit of work."""

    chain: Callable[[], Chain]
    advance: Callable[[str, str], bool]  # before, after -> did it happen
    strict: bool


def users_kind(tools: TokenTools, refresh_s: int) -> TokenKind:
    """``refresh_s``: as :class:`manifest_auth.tenants.effective_settings.Lengths` of the user's client has it."""
    return TokenKind(Purpose.ACCESS, Purpose.REFRESH, tools.settings.access_token_ttl, refresh_s)


def admins_kind(tools: TokenTools) -> TokenKind:
    s = tools.settings
    return TokenKind(Purpose.ADMIN_ACCESS, Purpose.ADMIN_REFRESH, s.admin_access_token_ttl, s.admin_session_ttl)


def pair(tools: TokenTools, kind: TokenKind, subject: Subject, own: str, parent: str | None, now: int) -> TokenPair:
    """Tokens for a session, which do not outlive it. ``own``, ``parent``: ids of the refresh token and its parent."""
    seconds = max(1, min(kind.access_ttl, (subject.ends_at - now) // 1000))
    issued = now // 1000
    claims: dict[str, Any] = {
        "sub": str(subject.id),
        "id": subject.id,
        "sid": subject.session_id,
        "jti": tools.random.text(12),
        "iat": issued,
        "exp": issued + seconds,
    }
    if subject.client:
        claims["client"] = subject.client
    token = access.mint(tools.keys, tools.settings.issuer, kind.access, claims)
    expires_at = min(now + kind.refresh_ttl * 1000, subject.ends_at)
    key = tools.keys.signing(kind.refresh).raw
    return TokenPair(token, refresh.mint(key, subject.session_id, own, parent, expires_at), seconds)


async def read_refresh(tools: TokenTools, purpose: Purpose, text: str, now: int) -> RefreshToken:
    """The content of a refresh token of ``purpose``. Raises InvalidToken, TokenExpired."""
    await tools.keys.ensure_current()
    keys = [key.raw for key in tools.keys.verifying(purpose)]
    try:
        return refresh.verify(keys, text, now)
    except InvalidToken:
        if not await tools.keys.refresh():  # another node rotated the keys, and its announcement is still on its way
            raise
    return refresh.verify([key.raw for key in tools.keys.verifying(purpose)], text, now)


def rotate(tools: TokenTools, presented: RefreshToken, rotation: Rotation, now: int) -> tuple[str, str | None] | None:
    """Rotates a genuine token of a live session: id and parent id of the new token, or None for a reuse.

    Runs inside a unit of work. After a lost race, it decides again by the new state.
    """
    grace_ms = tools.settings.refresh_grace * 1000
    while True:
        chain = rotation.chain()
        decision = refresh.decide(presented, chain, now, grace_ms, strict=rotation.strict)
        if decision is Decision.CHILD:
            return tools.random.text(12), presented.own
        if decision is Decision.AGAIN:
            return chain.current, chain.previous
        if decision is Decision.REUSED:
            return None
        if decision is Decision.COMMIT:
            if not rotation.strict:
                if rotation.advance(presented.parent, presented.own):
                    return tools.random.text(12), presented.own
                continue
            # Only after a switch to `strict` are there uncommitted children.
            rotation.advance(presented.parent, presented.own)
            continue
        child = tools.random.text(12)
        if rotation.advance(presented.own, child):
            return child, presented.own
