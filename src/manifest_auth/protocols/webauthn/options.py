"""The options that a browser gets before it asks an authenticator (WebAuthn Level 3, sections 5.4 and 5.5), as JSON.

They are written without the library: a page that offers passkeys does not load 8 MB for a dictionary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth.protocols.webauthn.verification import ALGORITHMS

TIMEOUT_MS = 300_000  # the recommended one (section 15.1)


class Descriptor(NamedTuple):
    """A credential that is named to the browser. ``id``: base64url."""

    id: str
    transports: tuple[str, ...]


class Person(NamedTuple):
    """Whom a new credential belongs to. ``handle``: base64url of 64 random bytes; the names are for the person's own
    list of credentials."""

    handle: str
    name: str
    display_name: str


def creation(rp_id: str, challenge: str, person: Person, existing: list[Descriptor]) -> dict[str, Any]:
    """For ``navigator.credentials.create``. ``challenge``: base64url; ``existing``: on whose authenticators no other
    one is made."""
    return {
        "rp": {"id": rp_id, "name": rp_id},
        "user": {"id": person.handle, "name": person.name, "displayName": person.display_name},
        "challenge": challenge,
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": TIMEOUT_MS,
        "excludeCredentials": _named(existing),
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def request(rp_id: str, challenge: str, allowed: list[Descriptor]) -> dict[str, Any]:
    """For ``navigator.credentials.get``. ``allowed``: empty, where the browser is to offer what it has."""
    return {
        "challenge": challenge,
        "timeout": TIMEOUT_MS,
        "rpId": rp_id,
        "allowCredentials": _named(allowed),
        "userVerification": "required",
    }


def accepted(rp_id: str, handle: str, ids: list[str]) -> dict[str, Any]:
    """For ``PublicKeyCredential.signalAllAcceptedCredentials`` (section 5.1.10): the browser's credential managers then
    offer no others of this person. ``handle``: as in :class:`Person`; ``ids``: base64url."""
    return {"rpId": rp_id, "userId": handle, "allAcceptedCredentialIds": ids}


def _named(found: list[Descriptor]) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "type": "public-key", **({"transports": list(one.transports)} if one.transports else {})}
        for one in found
    ]
