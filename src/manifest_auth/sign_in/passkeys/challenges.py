"""Challenges that carry their own end and proof, so that nothing is stored before a right answer.

16 random bytes, the end, and a MAC over purpose and holder: the browser's cookie before a sign-in, the session after
it. A challenge is worth nothing in another browser, in another session or for another purpose (login CSRF). A right
answer uses it up, once, on all nodes.
"""

from __future__ import annotations

from typing import Literal

from manifest_auth.accounts.factors import used_challenges
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.device_cookies import macs_of
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text import base64url

Purpose = Literal["sign-in", "add", "reauthenticate"]
LIFE_MS = 600_000
_RANDOM, _END, _MAC = 16, 8, 32


def new(ctx: RequestContext, purpose: Purpose, holder: str) -> str:
    """A challenge in base64url. ``holder``: the browser's cookie, or the session."""
    body = ctx.services.random.bytes(_RANDOM) + (ctx.now + LIFE_MS).to_bytes(_END)
    return base64url.encode(body + bytes.fromhex(macs_of(ctx).make(_message(purpose, holder, body))))


def why_not(ctx: RequestContext, purpose: Purpose, holder: str, challenge: str) -> str:
    """Why the challenge does not count here, for the log; empty where it does."""
    try:
        raw = base64url.decode(challenge)
    except ValueError:
        return "challenge: not base64url"
    body, mac = raw[: _RANDOM + _END], raw[_RANDOM + _END :]
    if len(mac) != _MAC or not holder or not macs_of(ctx).is_valid(_message(purpose, holder, body), mac.hex()):
        return "challenge: not made for this browser and purpose"
    return "challenge: over" if ctx.now >= _end_of(challenge) else ""


def use_up(unit: SystemUnit | TenantUnit, challenge: str) -> bool:
    """Uses a challenge that counts: of concurrent calls, one gets True."""
    return used_challenges.use_up(unit, challenge, _end_of(challenge))


def _end_of(challenge: str) -> int:
    return int.from_bytes(base64url.decode(challenge)[_RANDOM : _RANDOM + _END])


def _message(purpose: Purpose, holder: str, body: bytes) -> bytes:
    return b"\0".join((b"passkey", purpose.encode(), holder.encode(), body))
