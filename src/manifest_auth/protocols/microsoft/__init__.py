"""Microsoft: Entra ID access tokens, Graph, Dataverse, and the national clouds.

Checks the claims of tokens, and calls Microsoft's APIs. Knows neither clients nor the store, stores no token, and never
identifies a user by an e-mail address.
"""

from manifest_auth.protocols.microsoft import diagnose
from manifest_auth.protocols.microsoft.client import Microsoft, NoMember, Organization, Profile, Throttled
from manifest_auth.protocols.microsoft.clouds import CLOUDS, CONSUMERS, Cloud, Clouds
from manifest_auth.protocols.microsoft.tokens import (
    GUID,
    Accepted,
    Claims,
    MicrosoftRefused,
    application_of,
    check,
    directory_of,
    read,
)
