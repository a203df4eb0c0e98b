"""OpenID Connect Core 1.0 as a relying party: discovery, the authorization address, a code redeemed for claims.

Hands over claims that were verified; whose they are is for others to say. Keeps what providers publish, for an hour;
knows neither tenants nor the store, and never shows a provider's own words to a person.
"""

from manifest_auth.oidc.client import Client
from manifest_auth.oidc.examine import Finding
from manifest_auth.oidc.records import Answer, Authorization, Discovered, Registration
from manifest_auth.oidc.refused import Refused, sentence_for

__all__ = [
    "Answer",
    "Authorization",
    "Client",
    "Discovered",
    "Finding",
    "Refused",
    "Registration",
    "sentence_for",
]
