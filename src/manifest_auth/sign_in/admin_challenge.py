"""The challenge of ``MFA_REQUIRED``: it continues a system admin's sign-in after the right password, with a code.

The challenge is a sealed text that names the admin; no row stores it. It ends after :data:`LIFE_S` seconds, with the
next sign-in and with a new password. Without a code it opens nothing.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import orjson

from manifest_auth.accounts.admins import Admin
from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import MINUTE
from manifest_auth.services import RequestContext
from manifest_auth.text import base64url

LIFE_S = 5 * MINUTE
_SEALED_FOR = "admin_sign_in/challenge"


class Challenge(NamedTuple):
    """``proof``: SHA-256 of the password hash that matched; ``since``: time of the previous sign-in; ``until``: when
    the challenge expires, milliseconds."""

    admin_id: int
    username: str
    proof: str
    since: int | None
    until: int


def issue(ctx: RequestContext, admin: Admin) -> str:
    """A new challenge for an admin whose password was just verified."""
    made = Challenge(*_state(admin), ctx.now + LIFE_S * 1000)
    return base64url.encode(ctx.services.sealer.seal(orjson.dumps(list(made)), _SEALED_FOR))


def take(ctx: RequestContext, text: str) -> Challenge:
    """Reads a challenge. Raises InvalidToken for a text that this server did not issue, TokenExpired."""
    try:
        found = Challenge(*orjson.loads(ctx.services.sealer.open(base64url.decode(text), _SEALED_FOR)))
    except (ValueError, CannotOpen):
        raise InvalidToken(reason="no challenge of ours") from None
    if found.until <= ctx.now:
        raise TokenExpired()
    return found


def check(challenge: Challenge, admin: Admin) -> None:
    """Raises InvalidToken if the challenge was used, or if the admin's password was changed since it was issued."""
    if challenge[:-1] != _state(admin):
        raise InvalidToken(reason="the challenge is over")


def _state(admin: Admin) -> tuple[int, str, str, int | None]:
    proof = hashlib.sha256(admin.password_hash.encode()).hexdigest()
    return admin.id, admin.username, proof, admin.last_sign_in_at
