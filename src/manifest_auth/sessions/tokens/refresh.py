"""Refresh tokens without a table: signed values whose rotation is committed by use (contract, section 3).

A token names its session, itself and its parent. The session's row keeps only which token is in force (``current``),
which was before (``previous``) and when that changed. :func:`judge` is the whole rule, pure; the race between two
children of one parent is decided by one conditional update in the store.

Text: ``mrt_`` and base64url of ``version(1) session(16) own(12) parent(12) expires(8) mac(32)``; the length leaves no
spare bits, so a token has one spelling only. The code is keyed BLAKE2b (RFC 7693): as strong as HMAC-SHA-256, and it
does not hand the interpreter lock away.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from typing import NamedTuple

from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.sessions import Chain
from manifest_auth.text.base64url import decode, encode

ALGORITHM = "BLAKE2b"  # whatever the key's row says
_PREFIX = "mrt_"
_VERSION = b"\x01"
_LENGTH = 1 + 16 + 12 + 12 + 8
_NO_PARENT = b"\0" * 12
TEXT_LENGTH = len(_PREFIX) + (_LENGTH + 32) // 3 * 4


class Shown(NamedTuple):
    """A genuine refresh token's content."""

    session_id: str
    own: str
    parent: str
    expires_at: int


class Verdict(enum.Enum):
    CHILD = "child"  # the token in force: give a child, commit nothing
    COMMIT = "commit"  # a child of the token in force, shown for the first time: it takes over
    SUCCEED = "succeed"  # strict: the token in force dies as its child is given
    AGAIN = "again"  # replaced only just: answer again with the token in force
    REUSED = "reused"  # replaced longer ago: somebody has a copy


def judge(shown: Shown, chain: Chain, now: int, grace_ms: int, *, strict: bool) -> Verdict:
    """What a genuine token of a live session deserves (contract, section 3, points 1 to 4)."""
    if shown.own == chain.current:
        return Verdict.SUCCEED if strict else Verdict.CHILD
    if shown.parent == chain.current:
        return Verdict.COMMIT
    just_now = now - chain.changed_at <= grace_ms
    if just_now and chain.previous is not None and chain.previous in (shown.own, shown.parent):
        return Verdict.AGAIN
    return Verdict.REUSED


def _mac(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=key, digest_size=32, person=b"manifest refresh").digest()


def mint(key: bytes, session_id: str, own: str, parent: str | None, expires_at: int) -> str:
    """The token's text, authenticated with keyed BLAKE2b."""
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


def verify(keys: list[bytes], text: str, now: int) -> Shown:
    """The content of a genuine token. Raises InvalidToken, and TokenExpired once the signature was found good."""
    if len(text) != TEXT_LENGTH or not text.startswith(_PREFIX) or not text.isascii():
        raise InvalidToken(reason="refresh token: shape")
    try:
        raw = decode(text[len(_PREFIX) :])
    except ValueError:
        raise InvalidToken(reason="refresh token: base64") from None
    body, mac = raw[:_LENGTH], raw[_LENGTH:]
    # All keys are tried without an early end; there are one or two of them.
    genuine = [hmac.compare_digest(_mac(key, body), mac) for key in keys]
    if not any(genuine) or body[:1] != _VERSION:
        raise InvalidToken(reason="refresh token: signature")
    shown = Shown(encode(body[1:17]), encode(body[17:29]), encode(body[29:41]), int.from_bytes(body[41:49], "big"))
    if shown.expires_at <= now:
        raise TokenExpired(reason="refresh token")
    return shown
