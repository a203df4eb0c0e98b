"""Microsoft: Entra ID access tokens, Graph, Dataverse, and the national clouds.

Checks the claims of tokens, and calls Microsoft's APIs. Knows neither clients nor the store, stores no token, and never
identifies a user by an e-mail address.
"""

from manifest_auth.protocols.microsoft import diagnose
from manifest_auth.protocols.microsoft.client import (
    CLOUDS,
    CONSUMERS,
    GUID,
    Accepted,
    Claims,
    Cloud,
    Clouds,
    Microsoft,
    MicrosoftRefused,
    NoMember,
    Organization,
    Profile,
    Throttled,
    application_of,
    check,
    directory_of,
    read,
)
