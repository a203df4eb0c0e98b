"""On-premise licences: keys, the gate before every client route, and seats.

Owns ``licences``, ``revoked_licences`` and ``seats_taken``. Never counts anything in hosted mode, which asks for no
licence, and never asks anyone over the network.
"""

from manifest_auth.licence.gate import Gate, Overview, State, warning
from manifest_auth.licence.licence import (
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
