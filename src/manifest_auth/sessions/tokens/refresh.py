"""Refresh tokens: signed values without a table, whose rotation is committed by use.

A token contains its session, its own id and its parent's. The session's row stores only the ids of the current and the
previous token, and when that changed. :func:`decide` is the whole rule, as a pure function; one conditional update in
the store decides the race between two children of one parent.

Text: ``mrt_`` and base64url of ``version(1) session(16) own(12) parent(12) expires(8) mac(32)``; the length leaves no
spare bits, so a token has only one spelling. The MAC is keyed BLAKE2b (RFC 7693): as strong as HMAC-SHA-256, and it
does not release the interpreter lock.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from typing import NamedTuple

from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.sessions import Chain
from manifest_auth.text.base64url import decode, encode

_PREFIX = "mrt_"
_VERSION = b"\x01"
_LENGTH = 1 + 16 + 12 + 12 + 8
_NO_PARENT = b"\0" * 12
_FIRST = encode(_NO_PARENT)
TEXT_LENGTH = len(_PREFIX) + (_LENGTH + 32) // 3 * 4


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
    AGAIN = "again"  # replaced a moment ago: answer again with the current token
    REUSED = "reused"  # replaced longer ago: an attacker may have a copy


def decide(presented: RefreshToken, chain: Chain, now: int, grace_ms: int, *, strict: bool) -> Decision:
    """Decides how a genuine token of a live session is answered. ``now`` and ``grace_ms`` in milliseconds."""
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


def mint(key: bytes, session_id: str, own: str, parent: str | None, expires_at: int) -> str:
    """A token as text, authenticated with keyed BLAKE2b."""
    body = b"".join(
        (
            _VERSION,
            decode(session_id),
            decode(own),
            decode(parent) if parent else _NO_PARENT,
            expires_at.to_bytes(8, "big"),
        )
    )
    return _PREFIX + encode(body + _mac(key, body))


def verify(keys: list[bytes], text: str, now: int) -> RefreshToken:
    """The content of a token. Raises InvalidToken, and TokenExpired for one with a valid MAC."""
    if len(text) != TEXT_LENGTH or not text.startswith(_PREFIX) or not text.isascii():
        raise InvalidToken(reason="refresh token: shape")
    try:
        raw = decode(text[len(_PREFIX) :])
    except ValueError:
        raise InvalidToken(reason="refresh token: base64") from None
    body, mac = raw[:_LENGTH], raw[_LENGTH:]
    # All keys are tried without an early exit; there are one or two of them.
    genuine = [hmac.compare_digest(_mac(key, body), mac) for key in keys]
    if not any(genuine) or body[:1] != _VERSION:
        raise InvalidToken(reason="refresh token: signature")
    presented = RefreshToken(
        encode(body[1:17]), encode(body[17:29]), encode(body[29:41]), int.from_bytes(body[41:49], "big")
    )
    if presented.expires_at <= now:
        raise TokenExpired(reason="refresh token")
    return presented
