"""Microsoft's side of two ways in: Entra ID access tokens, Graph, Dataverse, and the clouds that they live in.

Hands over the judgement of a token's claims, and calls whose answers were checked. Knows neither clients nor the store,
keeps no token, and never takes an address for a person.
"""

from manifest_auth.protocols.microsoft import diagnose
from manifest_auth.protocols.microsoft.client import Microsoft, NoMember, Organization, Profile, Throttled
from manifest_auth.protocols.microsoft.clouds import CLOUDS, CONSUMERS, Cloud, Clouds
from manifest_auth.protocols.microsoft.tokens import (
    GUID,
    Accepted,
    Claims,
    Refused,
    application_of,
    check,
    directory_of,
    read,
)
