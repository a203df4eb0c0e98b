"""Access and refresh tokens: minted, verified, rotated; the keys that sign them. Never reads a user or a request."""

from manifest_auth.sessions.tokens.access import Verified, VerifiedTokens
from manifest_auth.sessions.tokens.issue import (
    Kind,
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
    "Kind",
    "Pair",
    "Purpose",
    "Rotation",
    "Shown",
    "Subject",
    "TokenTools",
    "Verified",
    "VerifiedTokens",
    "admins_kind",
    "find_key",
    "pair",
    "read_refresh",
    "rotate",
    "seen_key",
    "users_kind",
]
