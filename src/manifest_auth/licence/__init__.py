"""On-premise licenses: keys, the gate before every client route, and seats.

Owns ``licences``, ``revoked_licences``, and ``seats_taken``. Never counts seats in hosted mode, which needs no license,
and never uses the network.
"""

from manifest_auth.licence.gate import (
    ALLOWED,
    UNCOUNTED,
    Gate,
    LicenceData,
    Overview,
    SeatCounter,
    State,
    free,
    install_licence,
    overdrawn,
    warning,
)
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
