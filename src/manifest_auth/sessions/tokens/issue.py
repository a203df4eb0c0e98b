"""Tokens for a session, and rotation of its refresh token, by the same rule for users and for system admins.

The two differ in the session's table; they pass in how its tokens are read and advanced.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import Settings
from manifest_auth.sessions import Chain
from manifest_auth.sessions.tokens import access
from manifest_auth.sessions.tokens.keys import KeyRing, Purpose
from manifest_auth.text.base64url import decode, encode

# A refresh token is a signed value without a table, and its use commits the rotation. It contains its session, its own
# ID and its parent's ID. The session's row stores only the IDs of the current and the previous token, and when they
# changed. :func:`decide` is the whole rule, as a pure function. One conditional update in the database decides the race
# between two children of one parent.
#
# Text: ``mrt_`` and base64url of ``version(1) session(16) own(12) parent(12) expires(8) mac(32)``; the length leaves no
# spare bits, so a token has only one spelling. The MAC is keyed BLAKE2b (RFC 7693): as strong as HMAC-SHA-256, and it
# does not release the interpreter lock.

REFRESH_PREFIX = "mrt_"
_VERSION = b"\x01"
_LENGTH = 1 + 16 + 12 + 12 + 8
_NO_PARENT = b"\0" * 12
_FIRST = encode(_NO_PARENT)
TEXT_LENGTH = len(REFRESH_PREFIX) + (_LENGTH + 32) // 3 * 4


class RefreshToken(NamedTuple):
    """The content of a genuine refresh token."""

    session_id: str
    own: str
    parent: str
    expires_at: int

    @property
    def is_first(self) -> bool:
        """Whether it is its session's first token, which the sign-in issued."""
        return self.parent == _FIRST


class Decision(enum.Enum):
    CHILD = "child"  # the current token: issue a child, commit nothing
    COMMIT = "commit"  # the first use of a child of the current token: it becomes current
    SUCCEED = "succeed"  # strict: the current token is replaced as its child is issued
    AGAIN = "again"  # recently replaced: return the current token again
    REUSED = "reused"  # replaced longer ago: an attacker might have a copy


def decide(presented: RefreshToken, chain: Chain, now: int, grace_ms: int, *, strict: bool) -> Decision:
    """Decides the response to a genuine token of an open session. ``now`` and ``grace_ms`` are in milliseconds."""
    if presented.own == chain.current:
        return Decision.SUCCEED if strict else Decision.CHILD
    if presented.parent == chain.current:
        return Decision.COMMIT
    just_now = now - chain.changed_at <= grace_ms
    if just_now and chain.previous is not None and chain.previous in (presented.own, presented.parent):
        return Decision.AGAIN
    return Decision.REUSED


def _mac(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=key, digest_size=32, person=b"manifest refresh").digest()


def mint_refresh(key: bytes, session_id: str, own: str, parent: str | None, expires_at: int) -> str:
    """Creates a token as text, authenticated with keyed BLAKE2b."""
    body = b"".join(
        (
            _VERSION,
            decode(session_id),
            decode(own),
            decode(parent) if parent else _NO_PARENT,
            expires_at.to_bytes(8, "big"),
        )
    )
    return REFRESH_PREFIX + encode(body + _mac(key, body))


def verify_refresh(keys: list[bytes], text: str, now: int) -> RefreshToken:
    """Returns the content of a token. Raises InvalidToken, and TokenExpired for a token with a valid MAC."""
    if len(text) != TEXT_LENGTH or not text.startswith(REFRESH_PREFIX) or not text.isascii():
        raise InvalidToken(reason="refresh token: invalid format")
    try:
        raw = decode(text[len(REFRESH_PREFIX) :])
    except ValueError:
        raise InvalidToken(reason="refresh token: invalid base64") from None
    body, mac = raw[:_LENGTH], raw[_LENGTH:]
    # All keys are tried without an early exit; there are one or two of them.
    genuine = [hmac.compare_digest(_mac(key, body), mac) for key in keys]
    if not any(genuine) or body[:1] != _VERSION:
        raise InvalidToken(reason="refresh token: invalid signature")
    presented = RefreshToken(
        encode(body[1:17]), encode(body[17:29]), encode(body[29:41]), int.from_bytes(body[41:49], "big")
    )
    if presented.expires_at <= now:
        raise TokenExpired(reason="refresh token")
    return presented


class TokenKind(NamedTuple):
    """Purposes and lifetimes (seconds) of the tokens of users, or of system admins."""

    access: Purpose
    refresh: Purpose
    access_ttl: int
    refresh_ttl: int


class TokenPair(NamedTuple):
    """The tokens of a sign-in or refresh. ``expires_in``: seconds until the access token expires."""

    token: str
    refresh_token: str
    expires_in: int


class Subject(NamedTuple):
    """The session and its user. ``client``: the tenant's identifier, empty for a system admin."""

    session_id: str
    id: int
    client: str
    ends_at: int


class ForApp(NamedTuple):
    """The parts of an app's access token: client ID, scope, and its maximum lifetime in seconds."""

    client_id: str
    scope: str
    seconds: int


class TokenTools(NamedTuple):
    """The services that issue and verify tokens."""

    settings: Settings
    keys: KeyRing
    random: Random


def users_kind(tools: TokenTools, refresh_s: int) -> TokenKind:
    """Returns the kind for users. ``refresh_s`` comes from :class:`manifest_auth.tenants.settings.SessionLengths` of
    the user's client."""
    return TokenKind(Purpose.ACCESS, Purpose.REFRESH, tools.settings.access_token_ttl, refresh_s)


def admins_kind(tools: TokenTools) -> TokenKind:
    s = tools.settings
    return TokenKind(Purpose.ADMIN_ACCESS, Purpose.ADMIN_REFRESH, s.admin_access_token_ttl, s.admin_session_ttl)


def pair(
    tools: TokenTools,
    kind: TokenKind,
    subject: Subject,
    own: str,
    parent: str | None,
    now: int,
    app: ForApp | None = None,
) -> TokenPair:
    """Creates tokens for a session, which do not outlive it. ``own``, ``parent``: IDs of the refresh token and its
    parent. An ``app`` has its own audience, so that nobody who verifies tokens on their own mistakes it for the
    user."""
    longest = kind.access_ttl if app is None else app.seconds
    seconds = max(1, min(longest, (subject.ends_at - now) // 1000))
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
    if app is not None:
        claims |= {"client_id": app.client_id, "scope": app.scope}
        claims["aud"] = access.app_issuer(tools.settings.oauth_issuer, subject.client)
    token = access.mint(tools.keys, tools.settings.issuer, kind.access, claims)
    expires_at = min(now + kind.refresh_ttl * 1000, subject.ends_at)
    key = tools.keys.signing(kind.refresh).raw
    return TokenPair(token, mint_refresh(key, subject.session_id, own, parent, expires_at), seconds)


async def read_refresh(tools: TokenTools, purpose: Purpose, text: str, now: int) -> RefreshToken:
    """Returns the content of a refresh token of ``purpose``. Raises InvalidToken, TokenExpired."""
    await tools.keys.ensure_current()
    keys = [key.raw for key in tools.keys.verifying(purpose)]
    try:
        return verify_refresh(keys, text, now)
    except InvalidToken:
        if not await tools.keys.refresh():  # another node rotated the keys, and its announcement has not arrived yet
            raise
    return verify_refresh([key.raw for key in tools.keys.verifying(purpose)], text, now)


def rotate(
    tools: TokenTools,
    presented: RefreshToken,
    read_chain: Callable[[], Chain],
    advance: Callable[[str, str], bool],
    now: int,
    *,
    strict: bool,
) -> tuple[str, str | None] | None:
    """Rotates a genuine token of an open session. Returns ID and parent ID of the new token, or None for a reuse.
    ``advance`` moves from one ID to another, and returns whether that happened.

    Runs inside a unit of work. After a lost race, it decides again by the new state.
    """
    grace_ms = tools.settings.refresh_grace * 1000
    while True:
        chain = read_chain()
        decision = decide(presented, chain, now, grace_ms, strict=strict)
        if decision is Decision.CHILD:
            return tools.random.text(12), presented.own
        if decision is Decision.AGAIN:
            return chain.current, chain.previous
        if decision is Decision.REUSED:
            return None
        if decision is Decision.COMMIT:
            # Uncommitted children exist only after a switch to `strict`.
            if advance(presented.parent, presented.own) and not strict:
                return tools.random.text(12), presented.own
            continue
        child = tools.random.text(12)
        if advance(presented.own, child):
            return child, presented.own
