"""Passkeys (WebAuthn Level 3): options for browsers, and the verification of their responses.

The library ``webauthn`` verifies them. :mod:`.verification` does the checks that it leaves to its caller. The library
is loaded with the first passkey, by :func:`load` and outside the event loop.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import msgspec

from manifest_auth.text import base64url, strict_json

# Strictly reads a credential as returned by browsers (``PublicKeyCredential.toJSON()``, WebAuthn Level 3, 5.1). The
# library ignores characters that aren't base64url, and repeated members of the client data. Both are rejected here, so
# that no two texts mean the same response.

MOST_ID = 1023  # bytes of a credential ID (section 4, Credential ID)
_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})


class WebauthnRefused(Exception):
    """The credential is rejected. The message says why, for the log."""


class ClientData(NamedTuple):
    """The relevant members of ``clientDataJSON`` (section 5.8.1). ``challenge`` is base64url."""

    type: str
    challenge: str
    origin: str
    cross_origin: bool
    top_origin: bool


class _Response(msgspec.Struct, frozen=True, rename="camel"):
    client_data_json: str = msgspec.field(name="clientDataJSON")
    authenticator_data: str | None = None
    signature: str | None = None
    user_handle: str | None = None
    attestation_object: str | None = None
    transports: list[Any] | None = None


class Credential(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    raw_id: str
    type: str
    response: _Response


def read_credential(given: dict[str, Any]) -> Credential:
    """Returns the credential, in which ID and raw ID must be equal. Raises WebauthnRefused."""
    try:
        found = msgspec.convert(given, Credential, strict=True)
    except msgspec.ValidationError as error:
        raise WebauthnRefused(f"shape: {error}") from None
    if found.id != found.raw_id:
        raise WebauthnRefused("id and rawId differ")
    if not 0 < len(raw(found.id, "id")) <= MOST_ID:
        raise WebauthnRefused("id: length")
    return found


def raw(text: str | None, name: str) -> bytes:
    """Returns the bytes of a member. Raises WebauthnRefused if it is missing or isn't base64url."""
    if text is None:
        raise WebauthnRefused(f"{name}: missing")
    try:
        return base64url.decode(text)
    except ValueError:
        raise WebauthnRefused(f"{name}: not base64url") from None


def client_data(credential: Credential) -> ClientData:
    """Returns the data that the browser signed. Raises WebauthnRefused."""
    try:
        found = strict_json.read(raw(credential.response.client_data_json, "clientDataJSON"), "clientDataJSON")
    except strict_json.Malformed as error:
        raise WebauthnRefused(str(error)) from None
    if not isinstance(found, dict):
        raise WebauthnRefused("clientDataJSON: not an object")
    kind, challenge, origin = (found.get(name) for name in ("type", "challenge", "origin"))
    if not (isinstance(kind, str) and isinstance(challenge, str) and isinstance(origin, str)):
        raise WebauthnRefused("clientDataJSON: type, challenge or origin")
    is_foreign = found.get("crossOrigin", False) is not False
    return ClientData(kind, challenge, origin, is_foreign, "topOrigin" in found)


def credential_id_of(given: dict[str, Any]) -> str:
    """Returns the credential ID, which isn't verified yet. Raises WebauthnRefused."""
    return read_credential(given).id


def challenge_of(given: dict[str, Any]) -> str:
    """Returns the challenge of the response, which isn't verified yet. Raises WebauthnRefused."""
    return client_data(read_credential(given)).challenge


def transports_of(credential: Credential) -> tuple[str, ...]:
    """Returns the known hints on how to reach the authenticator, and omits others."""
    given = credential.response.transports or []
    return tuple(sorted({text for text in given if isinstance(text, str) and text in _TRANSPORTS}))


# The library doesn't compare the user handle or the backup eligibility, ignores ``crossOrigin`` and ``topOrigin``, and
# checks the counter before the signature. So it gets a current count of 0, and the rest is done here. The caller checks
# the counter, which needs the row. Attestation statements are ignored: none is requested, and no policy depends on one.

EDDSA, ES256, RS256 = -8, -7, -257
ALGORITHMS = (EDDSA, ES256, RS256)
_P256 = 1
_RSA_BITS = (2048, 4096)  # verification with a larger key would be slow, for everyone
_RSA_EXPONENTS = (3, 65537)
_BACKUP_ELIGIBLE = 0x08  # a flag of the authenticator data (section 6.1)
_FLAGS_AT = 32


class Expected(NamedTuple):
    """The values that a response must match. ``challenge`` is base64url. ``origins`` are the accepted ones, compared
    exactly."""

    challenge: str
    rp_id: str
    origins: tuple[str, ...]


class Known(NamedTuple):
    """The stored part of the credential. ``handle`` is its owner's. ``needs_handle`` means that no credential was
    named, so the response must identify the owner."""

    public_key: bytes
    handle: str
    needs_handle: bool
    backup_eligible: bool


class Registered(NamedTuple):
    """A new credential. ``credential_id`` is base64url, ``public_key`` is COSE, and ``transports`` are hints."""

    credential_id: str
    public_key: bytes
    algorithm: int
    counter: int
    transports: tuple[str, ...]
    aaguid: str
    backup_eligible: bool
    backup_state: bool


class Asserted(NamedTuple):
    """A verified response. Its counter isn't checked yet: it must be greater than the stored one unless both are 0."""

    counter: int
    backup_state: bool


def verify_registration(given: dict[str, Any], expected: Expected) -> Registered:
    """Verifies a new credential. Raises WebauthnRefused."""
    from webauthn import verify_registration_response  # loaded with the first passkey
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    credential = read_credential(given)
    _check_client_data(credential, "webauthn.create", expected)
    try:
        attestation = _without_statement(raw(credential.response.attestation_object, "attestationObject"))
        verified = verify_registration_response(
            credential=_for_library(credential, attestationObject=base64url.encode(attestation)),
            expected_challenge=base64url.decode(expected.challenge),
            expected_rp_id=expected.rp_id,
            expected_origin=list(expected.origins),
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )
        algorithm = _check_key(verified.credential_public_key)
    except Exception as error:  # noqa: BLE001 - the library lets errors of its parsers through
        _refuse(error)
    if base64url.encode(verified.credential_id) != credential.id:
        raise WebauthnRefused("id and attested credential id differ")
    return Registered(
        credential_id=credential.id,
        public_key=verified.credential_public_key,
        algorithm=algorithm,
        counter=verified.sign_count,
        transports=transports_of(credential),
        aaguid=verified.aaguid,
        backup_eligible=verified.credential_device_type == "multi_device",
        backup_state=verified.credential_backed_up,
    )


def verify_assertion(given: dict[str, Any], expected: Expected, known: Known) -> Asserted:
    """Verifies a response with a stored credential that the caller has looked up by its ID. Raises WebauthnRefused."""
    from webauthn import verify_authentication_response  # loaded with the first passkey

    credential = read_credential(given)
    handle = credential.response.user_handle
    if handle != known.handle and (known.needs_handle or handle is not None):
        raise WebauthnRefused("userHandle: not the owner's")
    _check_client_data(credential, "webauthn.get", expected)
    authenticator_data = raw(credential.response.authenticator_data, "authenticatorData")
    raw(credential.response.signature, "signature")
    flags = authenticator_data[_FLAGS_AT] if len(authenticator_data) > _FLAGS_AT else 0
    if bool(flags & _BACKUP_ELIGIBLE) != known.backup_eligible:
        raise WebauthnRefused("backup eligibility: not as registered")
    try:
        verified = verify_authentication_response(
            credential=_for_library(
                credential,
                authenticatorData=credential.response.authenticator_data,
                signature=credential.response.signature,
            ),
            expected_challenge=base64url.decode(expected.challenge),
            expected_rp_id=expected.rp_id,
            expected_origin=list(expected.origins),
            credential_public_key=known.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as error:  # noqa: BLE001 - the library lets errors of its parsers through
        _refuse(error)
    return Asserted(verified.new_sign_count, verified.credential_backed_up)


def _check_client_data(credential: Credential, kind: str, expected: Expected) -> None:
    found = client_data(credential)
    if found.type != kind:
        raise WebauthnRefused("clientDataJSON: type")
    if not expected.challenge or found.challenge != expected.challenge:
        raise WebauthnRefused("challenge")
    if found.origin not in expected.origins:
        raise WebauthnRefused(f"origin {found.origin!r}")
    if found.cross_origin or found.top_origin:
        raise WebauthnRefused("crossOrigin: a page on another origin embedded this one")


def _for_library(credential: Credential, **response: str | None) -> dict[str, Any]:
    """Returns the credential with the members that the library reads, each checked to be base64url."""
    client_data = credential.response.client_data_json
    return {
        "id": credential.id,
        "rawId": credential.raw_id,
        "type": credential.type,
        "response": {"clientDataJSON": client_data, **response},
    }


def _without_statement(attestation: bytes) -> bytes:
    """Returns the attestation object with the format ``none``, so that no statement is parsed or evaluated."""
    from webauthn.helpers import encode_cbor, parse_cbor

    found = parse_cbor(attestation)
    if not isinstance(found, dict) or not isinstance(found.get("authData"), bytes):
        raise WebauthnRefused("attestationObject")
    return encode_cbor({"fmt": "none", "attStmt": {}, "authData": found["authData"]})


def _check_key(public_key: bytes) -> int:
    """Returns the algorithm of a usable key, which must have the matching curve and sizes."""
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    decoded: Any = decode_credential_public_key(public_key)
    if decoded.alg == ES256 and getattr(decoded, "crv", None) != _P256:
        raise WebauthnRefused("public key: ES256 needs P-256")
    if decoded.alg == RS256:
        least, most = _RSA_BITS
        if not least <= int.from_bytes(decoded.n).bit_length() <= most:
            raise WebauthnRefused("public key: RSA size")
        if int.from_bytes(decoded.e) not in _RSA_EXPONENTS:
            raise WebauthnRefused("public key: RSA exponent")
    decoded_public_key_to_cryptography(decoded)
    return int(decoded.alg)


def _refuse(error: Exception) -> NoReturn:
    if isinstance(error, WebauthnRefused):
        raise error
    raise WebauthnRefused(f"{type(error).__name__}: {error}") from error


# Built without the library, so that a page that offers passkeys doesn't load 8 MB for a dictionary.

TIMEOUT_MS = 300_000  # the recommended value (section 15.1)


class Descriptor(NamedTuple):
    """A credential that the options name. ``id`` is base64url."""

    id: str
    transports: tuple[str, ...]


class Person(NamedTuple):
    """The owner of a new credential. ``handle`` is 64 random bytes in base64url. The names appear in the person's own
    list of credentials."""

    handle: str
    name: str
    display_name: str


def creation(rp_id: str, challenge: str, person: Person, existing: list[Descriptor]) -> dict[str, Any]:
    """Returns options for ``navigator.credentials.create``. ``challenge`` is base64url. No other credential is created
    on the authenticators of the ``existing`` ones."""
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
    """Returns options for ``navigator.credentials.get``. ``allowed`` is empty if the browser should offer any
    credential that it has."""
    return {
        "challenge": challenge,
        "timeout": TIMEOUT_MS,
        "rpId": rp_id,
        "allowCredentials": _named(allowed),
        "userVerification": "required",
    }


def accepted(rp_id: str, handle: str, ids: list[str]) -> dict[str, Any]:
    """Returns options for ``PublicKeyCredential.signalAllAcceptedCredentials`` (section 5.1.10). Credential managers
    then no longer offer this person's other credentials. ``handle`` has the same meaning as in :class:`Person`, and
    ``ids`` are base64url."""
    return {"rpId": rp_id, "userId": handle, "allAcceptedCredentialIds": ids}


def _named(found: list[Descriptor]) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "type": "public-key", **({"transports": list(one.transports)} if one.transports else {})}
        for one in found
    ]


# Names of authenticators by their AAGUID, for the initial name of a new passkey. They come from the community's list of
# passkey providers (github.com/passkeydeveloper/passkey-authenticator-aaguids). An AAGUID without an attestation is
# only claimed by the browser, so it is only shown, and no decision depends on it.

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
    """Returns the name of the authenticator or password manager; None if it isn't known."""
    return _NAMES.get(aaguid)


async def load() -> None:
    """Loads the library once, in a thread, because its import takes too long for the event loop. Await this before the
    first verification of a request."""
    if "webauthn" not in sys.modules:
        await asyncio.to_thread(import_module, "webauthn")
