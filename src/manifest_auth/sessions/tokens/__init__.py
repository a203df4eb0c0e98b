"""Access and refresh tokens: issued, verified, rotated; and their signing keys.

Owns ``signing_keys``.

Never reads a user or a request: the caller checks whether a token's session is alive.
"""

from manifest_auth.sessions.tokens.access import VerifiedTokens
from manifest_auth.sessions.tokens.issue import (
    Rotation,
    Subject,
    TokenPair,
    TokenTools,
    admins_kind,
    pair,
    read_refresh,
    rotate,
    users_kind,
)
from manifest_auth.sessions.tokens.keys import (
    LISTING,
    REFRESH_ALGORITHM,
    Algorithm,
    KeyData,
    KeyRing,
    ListedKey,
    Purpose,
    PurposeName,
    access_algorithm,
    find_key,
    find_listed_key,
)
from manifest_auth.sessions.tokens.refresh import RefreshToken
from manifest_auth.sessions.tokens.service import Grant, ServiceTokens, VerifiedServiceToken
from manifest_auth.sessions.tokens.service import is_one as is_service_token
from manifest_auth.sessions.tokens.service import mint as mint_service_token
