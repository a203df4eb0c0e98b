"""OpenID Connect Core 1.0 as a relying party: discovery, authorization request, redemption of a code for claims.

Returns verified claims, which other packages map to users. Caches provider documents for an hour. Knows nothing of
clients or the store, and never shows a provider's own text to a user.
"""

from manifest_auth.protocols.oidc.client import Client, TtlCache
from manifest_auth.protocols.oidc.diagnose import CallbackState, Finding
from manifest_auth.protocols.oidc.discovery import Key, address_of, fetch_keys, keys_of_issuer, read_key_set
from manifest_auth.protocols.oidc.messages import (
    ELSEWHERE,
    SETUP_ERROR,
    Answer,
    Authorization,
    Callback,
    CallbackAddresses,
    OidcRefused,
    Redeemed,
    Registration,
    redirect_reason,
    request_address,
    sentence_for,
    with_number,
)
from manifest_auth.protocols.oidc.person_claims import NoKey, read_token, verifying_key
