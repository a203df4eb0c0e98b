"""Access and refresh tokens: minted, verified, rotated; the keys that sign them. Owns ``signing_keys``.

Never reads a user or a request: whether a token's session is alive is for the caller to ask.
"""

from manifest_auth.sessions.tokens.access import VerifiedTokens
from manifest_auth.sessions.tokens.issue import (
    Pair,
    Rotation,
    Subject,
    TokenTools,
    admins_kind,
    pair,
    read_refresh,
    rotate,
    users_kind,
)
from manifest_auth.sessions.tokens.key_list import LISTING, KeySeen, seen_key
from manifest_auth.sessions.tokens.keys import KeyRing, Purpose, find_key
from manifest_auth.sessions.tokens.refresh import ALGORITHM as REFRESH_ALGORITHM
from manifest_auth.sessions.tokens.refresh import Shown

__all__ = [
    "LISTING",
    "REFRESH_ALGORITHM",
    "KeyRing",
    "KeySeen",
    "Pair",
    "Purpose",
    "Rotation",
    "Shown",
    "Subject",
    "TokenTools",
    "VerifiedTokens",
    "admins_kind",
    "find_key",
    "pair",
    "read_refresh",
    "rotate",
    "seen_key",
    "users_kind",
]
