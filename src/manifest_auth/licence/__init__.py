"""On-premise licences: keys, the gate before every client route, and seats. Owns ``licences``. Hosted mode asks for
none of it."""

from manifest_auth.licence.gate import Gate, Overview, Standing, State, warning
from manifest_auth.licence.licence import (
    DAY_MS,
    GRACE_DAYS,
    MAX_SEATS,
    BadLicence,
    Licence,
    Seats,
    generate,
    private_key,
    public_key,
    sign,
    verify,
)
from manifest_auth.licence.licence_events import put_in_force
from manifest_auth.licence.seats import ALLOWED, UNCOUNTED, Counter, free, overdrawn

__all__ = [
    "ALLOWED",
    "DAY_MS",
    "GRACE_DAYS",
    "MAX_SEATS",
    "UNCOUNTED",
    "BadLicence",
    "Counter",
    "Gate",
    "Licence",
    "Overview",
    "Seats",
    "Standing",
    "State",
    "free",
    "generate",
    "overdrawn",
    "private_key",
    "public_key",
    "put_in_force",
    "sign",
    "verify",
    "warning",
]
