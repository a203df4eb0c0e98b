"""Passkeys (WebAuthn Level 3): options for browsers, and the verification of what they answer.

The library ``webauthn`` verifies; :mod:`.verification` does the checks that it leaves to its caller. The library is
loaded with the first passkey, by :func:`load` and off the event loop.
"""

from manifest_auth.protocols.webauthn.options import Descriptor, Person, accepted, creation, load, provider_of, request
from manifest_auth.protocols.webauthn.verification import (
    Asserted,
    Expected,
    Known,
    WebauthnRefused,
    challenge_of,
    credential_id_of,
    verify_assertion,
    verify_registration,
)
