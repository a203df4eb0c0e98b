"""OpenID Connect Core 1.0 as a relying party: discovery, authorization request, redemption of a code for claims.

Returns verified claims; other packages map them to users. Caches provider documents for an hour; knows neither clients
nor the store, and never shows a provider's own text to a user.
"""

from manifest_auth.protocols.oidc.cache import TtlCache
from manifest_auth.protocols.oidc.callback import Callback, CallbackAddresses
from manifest_auth.protocols.oidc.client import Client
from manifest_auth.protocols.oidc.discovery import address_of
from manifest_auth.protocols.oidc.errors import SETUP_ERROR, Refused, sentence_for, with_number
from manifest_auth.protocols.oidc.id_token import NoKey, verifying_key
from manifest_auth.protocols.oidc.id_token import read as read_token
from manifest_auth.protocols.oidc.keys import Key
from manifest_auth.protocols.oidc.keys import fetch as fetch_keys
from manifest_auth.protocols.oidc.keys import of_issuer as keys_of_issuer
from manifest_auth.protocols.oidc.keys import read as read_key_set
from manifest_auth.protocols.oidc.messages import Answer, Authorization, Redeemed, Registration
from manifest_auth.protocols.oidc.registration_check import CallbackState, Finding
