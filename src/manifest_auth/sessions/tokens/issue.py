"""Gives tokens for a session, and rotates its refresh token: the same rule for users and for system admins.

The two differ in where the session's row stands; :class:`Rotation` is what they hand in.
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
from manifest_auth.sessions.tokens.refresh import Shown, Verdict


class Kind(NamedTuple):
    """Purposes and lives (seconds) of one plane's tokens."""

    access: Purpose
    refresh: Purpose
    access_ttl: int
    refresh_ttl: int


class Pair(NamedTuple):
    """What a sign-in or refresh hands out; ``expires_in`` in seconds, of the access token."""

    token: str
    refresh_token: str
    expires_in: int


class Subject(NamedTuple):
    """Whose session it is. ``client``: the tenant's identifier, empty for a system admin."""

    session_id: str
    id: int
    client: str
    ends_at: int


class TokenTools(NamedTuple):
    """What tokens are made and judged with."""

    settings: Settings
    keys: KeyRing
    random: Random


class Rotation(NamedTuple):
    """How to read and advance the chain of the session's row within the open unit of work."""

    chain: Callable[[], Chain]
    advance: Callable[[str, str], bool]  # before, after -> did it happen
    strict: bool


def users_kind(tools: TokenTools, refresh_s: int) -> Kind:
    """``refresh_s``: as :class:`manifest_auth.tenants.Lengths` of the user's client has it."""
    return Kind(Purpose.ACCESS, Purpose.REFRESH, tools.settings.access_token_ttl, refresh_s)


def admins_kind(tools: TokenTools) -> Kind:
    s = tools.settings
    return Kind(Purpose.ADMIN_ACCESS, Purpose.ADMIN_REFRESH, s.admin_access_token_ttl, s.admin_session_ttl)


def pair(tools: TokenTools, kind: Kind, subject: Subject, own: str, parent: str | None, now: int) -> Pair:
    """Tokens for a session, none of which outlives it."""
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
    return Pair(token, refresh.mint(key, subject.session_id, own, parent, expires_at), seconds)


async def read_refresh(tools: TokenTools, purpose: Purpose, text: str, now: int) -> Shown:
    """The content of a refresh token of that purpose. Raises InvalidToken, TokenExpired."""
    await tools.keys.look()
    keys = [key.raw for key in tools.keys.verifying(purpose)]
    try:
        return refresh.verify(keys, text, now)
    except InvalidToken:
        if not await tools.keys.refresh():  # rotated elsewhere, and announced by a message that is still on its way
            raise
    return refresh.verify([key.raw for key in tools.keys.verifying(purpose)], text, now)


def rotate(tools: TokenTools, shown: Shown, rotation: Rotation, now: int) -> tuple[str, str | None] | None:
    """Decides what a genuine token of a live session gets: own id and parent of the new token, or None for a reuse.

    Runs inside a unit of work. A race that is lost is judged anew, by what the winner left.
    """
    grace_ms = tools.settings.refresh_grace * 1000
    while True:
        chain = rotation.chain()
        verdict = refresh.judge(shown, chain, now, grace_ms, strict=rotation.strict)
        if verdict is Verdict.CHILD:
            return tools.random.text(12), shown.own
        if verdict is Verdict.AGAIN:
            return chain.current, chain.previous
        if verdict is Verdict.REUSED:
            return None
        if verdict is Verdict.COMMIT:
            if not rotation.strict:
                if rotation.advance(shown.parent, shown.own):
                    return tools.random.text(12), shown.own
                continue
            # Only a tenant that switched to `strict` meanwhile has uncommitted children.
            rotation.advance(shown.parent, shown.own)
            continue
        child = tools.random.text(12)
        if rotation.advance(shown.own, child):
            return child, shown.own
