"""Verifies passkeys: registrations (WebAuthn Level 3, section 7.1) and assertions (section 7.2)."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import msgspec

from manifest_auth.text import base64url, strict_json

# Reads a credential as a browser returns it, strictly (``PublicKeyCredential.toJSON()``, WebAuthn Level 3, 5.1).
#
# The library ignores characters that are not base64url, and members of the client data that are given twice; here both
# are refused, so that no two texts mean the same answer.

MOST_ID = 1023  # bytes of a credential id (section 4, Credential ID)
_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})


class WebauthnRefused(Exception):
    """The credential is refused; the message says why, for the log."""


class ClientData(NamedTuple):
    """The members of ``clientDataJSON`` that count (section 5.8.1); ``challenge``: base64url."""

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
    """The credential, whose id is the raw id. Raises Refused."""
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
    """The bytes of a member. Raises Refused where there is none, or it is not base64url."""
    if text is None:
        raise WebauthnRefused(f"{name}: missing")
    try:
        return base64url.decode(text)
    except ValueError:
        raise WebauthnRefused(f"{name}: not base64url") from None


def client_data(credential: Credential) -> ClientData:
    """What the browser signed. Raises Refused."""
    try:
        found = strict_json.read(raw(credential.response.client_data_json, "clientDataJSON"), "clientDataJSON")
    except strict_json.Malformed as error:
        raise WebauthnRefused(str(error)) from None
    if not isinstance(found, dict):
        raise WebauthnRefused("clientDataJSON: no object")
    kind, challenge, origin = (found.get(name) for name in ("type", "challenge", "origin"))
    if not (isinstance(kind, str) and isinstance(challenge, str) and isinstance(origin, str)):
        raise WebauthnRefused("clientDataJSON: type, challenge or origin")
    is_foreign = found.get("crossOrigin", False) is not False
    return ClientData(kind, challenge, origin, is_foreign, "topOrigin" in found)


def credential_id_of(given: dict[str, Any]) -> str:
    """The credential id, which is not verified yet. Raises Refused."""
    return read_credential(given).id


def challenge_of(given: dict[str, Any]) -> str:
    """The challenge that is answered, which is not verified yet. Raises Refused."""
    return client_data(read_credential(given)).challenge


def transports_of(credential: Credential) -> tuple[str, ...]:
    """The known ones of the hints on how the authenticator is reached; others are left out."""
    given = credential.response.transports or []
    return tuple(sorted({text for text in given if isinstance(text, str) and text in _TRANSPORTS}))


# The library does not compare the user handle or the backup eligibility, ignores ``crossOrigin`` and ``topOrigin``, and
# judges the counter before the signature. So it gets a current count of 0, and the rest is done here; the counter,
# which needs the row, is the caller's. Attestation statements are ignored: none is asked for, and no policy hangs on
# one.

EDDSA, ES256, RS256 = -8, -7, -257
ALGORITHMS = (EDDSA, ES256, RS256)
_P256 = 1
_RSA_BITS = (2048, 4096)  # a larger key would be slow to verify with, for everyone
_RSA_EXPONENTS = (3, 65537)
_BACKUP_ELIGIBLE = 0x08  # a flag of the authenticator data (section 6.1)
_FLAGS_AT = 32


class Expected(NamedTuple):
    """``challenge``: base64url; ``origins``: those at which the answer may have been given, exactly."""

    challenge: str
    rp_id: str
    origins: tuple[str, ...]


class Known(NamedTuple):
    """What is stored of the credential. ``handle``: its owner's; ``needs_handle``: no credential was named, so the
    answer has to say whose it is."""

    public_key: bytes
    handle: str
    needs_handle: bool
    backup_eligible: bool


class Registered(NamedTuple):
    """A new credential. ``credential_id``: base64url; ``public_key``: COSE; ``transports``: hints."""

    credential_id: str
    public_key: bytes
    algorithm: int
    counter: int
    transports: tuple[str, ...]
    aaguid: str
    backup_eligible: bool
    backup_state: bool


class Asserted(NamedTuple):
    """A right answer, but for the counter, which has to be greater than the stored one unless both are 0."""

    counter: int
    backup_state: bool


def verify_registration(given: dict[str, Any], expected: Expected) -> Registered:
    """Verifies a new credential. Raises Refused."""
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
    """Verifies an answer with a stored credential, whose id the caller has looked up. Raises Refused."""
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
        raise WebauthnRefused("crossOrigin: a page of another origin framed ours")


def _for_library(credential: Credential, **response: str | None) -> dict[str, Any]:
    """The credential with the members that the library reads, each checked to be base64url."""
    client_data = credential.response.client_data_json
    return {
        "id": credential.id,
        "rawId": credential.raw_id,
        "type": credential.type,
        "response": {"clientDataJSON": client_data, **response},
    }


def _without_statement(attestation: bytes) -> bytes:
    """The attestation object with the format ``none``, so that no statement is parsed or judged."""
    from webauthn.helpers import encode_cbor, parse_cbor

    found = parse_cbor(attestation)
    if not isinstance(found, dict) or not isinstance(found.get("authData"), bytes):
        raise WebauthnRefused("attestationObject")
    return encode_cbor({"fmt": "none", "attStmt": {}, "authData": found["authData"]})


def _check_key(public_key: bytes) -> int:
    """The algorithm of a key that can be used, on the curve and with the sizes that belong to it."""
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    decoded: Any = decode_credential_public_key(public_key)
    if decoded.alg == ES256 and getattr(decoded, "crv", None) != _P256:
        raise WebauthnRefused("public key: ES256 needs P-256")
    if decoded.alg == RS256:
        least, most = _RSA_BITS
        if not least <= int.from_bytes(decoded.n).bit_length() <= most:
            raise WebauthnRefused("public key: size of RSA")
        if int.from_bytes(decoded.e) not in _RSA_EXPONENTS:
            raise WebauthnRefused("public key: exponent of RSA")
    decoded_public_key_to_cryptography(decoded)
    return int(decoded.alg)


def _refuse(error: Exception) -> NoReturn:
    if isinstance(error, WebauthnRefused):
        raise error
    raise WebauthnRefused(f"{type(error).__name__}: {error}") from error
