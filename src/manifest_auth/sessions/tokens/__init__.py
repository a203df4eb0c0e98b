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
