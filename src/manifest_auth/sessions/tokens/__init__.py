"""Access and refresh tokens: issue, verify and rotate them; and their signing keys.

Owns ``signing_keys``.

Never reads a user or a request: the caller checks whether a token's session is active.
"""

from manifest_auth.sessions.tokens.access import (
    LOGOUT_TYPE,
    Grant,
    IdClaims,
    ServiceTokens,
    VerifiedTokens,
    app_issuer,
    is_service_token,
    mint_for_app,
    mint_service_token,
    read_id_token,
)
from manifest_auth.sessions.tokens.issue import (
    REFRESH_PREFIX,
    ForApp,
    RefreshToken,
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
    OF_APPS,
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
