"""On-premise licences: keys, and the gate before every client route. Owns ``licences``. Hosted mode asks for none."""

from manifest_auth.licence.gate import Gate, Standing, State
from manifest_auth.licence.licence import (
    GRACE_DAYS,
    BadLicence,
    Licence,
    Seats,
    generate,
    private_key,
    public_key,
    sign,
    verify,
)

__all__ = [
    "GRACE_DAYS",
    "BadLicence",
    "Gate",
    "Licence",
    "Seats",
    "Standing",
    "State",
    "generate",
    "private_key",
    "public_key",
    "sign",
    "verify",
]
