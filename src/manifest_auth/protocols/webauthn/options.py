"""Options that a browser gets before it asks an authenticator, and the names of known authenticators."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any, NamedTuple

from manifest_auth.protocols.webauthn.verification import ALGORITHMS

# They are written without the library: a page that offers passkeys does not load 8 MB for a dictionary.

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


# Names of authenticators by their AAGUID, for a first name of a new passkey.
#
# From the community's list of passkey providers (github.com/passkeydeveloper/passkey-authenticator-aaguids). An AAGUID
# without an attestation is a claim of the browser: it is shown, and nothing is decided by it.

_NAMES = {
    "08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
    "0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6": "Keeper",
    "22248c4c-7a12-46e2-9a41-44291b373a4d": "LogMeOnce",
    "39a5647e-1853-446c-a1f6-a79bae9f5bc7": "IDmelon",
    "50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
    "531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
    "53414d53-554e-4700-0000-000000000000": "Samsung Pass",
    "6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
    "66a0ccb3-bd6a-191f-ee06-e375c50b9846": "Thales Bio iOS SDK",
    "771b48fd-d3d4-4f74-9232-fc157ab0507a": "Edge on Mac",
    "8836336a-f590-0921-301d-46427531eee6": "Thales Bio Android SDK",
    "891494da-2c90-4d31-a9cd-4eab0aed1309": "Sésame",
    "9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
    "adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on Mac",
    "b35a26b2-8f6e-4697-ab1d-d44db4da28c6": "Zoho Vault",
    "b5397666-4885-aa6b-cebf-e52262a439a2": "Chromium",
    "b78a0a55-6ef8-d246-a042-ba0f6d55050c": "LastPass",
    "b84e4048-15dc-4dd0-8640-f4f60813c8af": "NordPass",
    "bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
    "cc45f64e-52a2-451b-831a-4edd8022a202": "ToothPic",
    "d3452668-01fd-4c12-926c-83a4204853aa": "Microsoft Password Manager",
    "d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
    "dd4ec289-e01d-41c9-bb89-70fa845d4bf2": "iCloud Keychain (managed)",
    "de503f9c-21a4-4f76-b4b7-558eb55c6f89": "Devolutions",
    "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
    "eaecdef2-1c31-5634-8639-f1cbd9c00a08": "KeePassDX",
    "f3809540-7f14-49c1-a8b3-8f813b225541": "Enpass",
    "fa37f553-f9b6-4adb-ac53-8bbb57ebdf0d": "Norton Password Manager",
    "fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "Apple Passwords",
    "fdb141b2-5d84-443e-8a35-4698c205a502": "KeePassXC",
}


def provider_of(aaguid: str) -> str | None:
    """The name of the authenticator or password manager; None where it is not known."""
    return _NAMES.get(aaguid)


# Loads the library ``webauthn`` once, in a thread: its import takes too long for the event loop.

_NAME = "webauthn"


async def load() -> None:
    """To be awaited before the first verification of a request."""
    if _NAME not in sys.modules:
        await asyncio.to_thread(import_module, _NAME)
