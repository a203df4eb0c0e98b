"""What continues a system admin's sign-in whose password was right and whose code is due (contract, section 2,
``MFA_REQUIRED``). Nothing of it is stored: it is sealed, names the admin, and ends by itself, with the next sign-in and
with a new password. It opens nothing without a code."""

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
    """``proof``: of the password hash that was found right; ``since``: the sign-in before, ``until``: its end."""

    admin_id: int
    username: str
    proof: str
    since: int | None
    until: int


def give(ctx: RequestContext, admin: Admin) -> str:
    """A challenge for one whose password was found right just now."""
    made = Challenge(*_state(admin), ctx.now + LIFE_S * 1000)
    return base64url.encode(ctx.services.sealer.seal(orjson.dumps(list(made)), _SEALED_FOR))


def take(ctx: RequestContext, text: str) -> Challenge:
    """Raises InvalidToken for what is none of ours, TokenExpired."""
    try:
        found = Challenge(*orjson.loads(ctx.services.sealer.open(base64url.decode(text), _SEALED_FOR)))
    except (ValueError, CannotOpen):
        raise InvalidToken(reason="no challenge of ours") from None
    if found.until <= ctx.now:
        raise TokenExpired()
    return found


def check(challenge: Challenge, admin: Admin) -> None:
    """Raises InvalidToken when it was used, or the password is another one now."""
    if challenge[:-1] != _state(admin):
        raise InvalidToken(reason="the challenge is over")


def _state(admin: Admin) -> tuple[int, str, str, int | None]:
    proof = hashlib.sha256(admin.password_hash.encode()).hexdigest()
    return admin.id, admin.username, proof, admin.last_sign_in_at
