"""Verifies registrations (WebAuthn Level 3, section 7.1) and assertions (section 7.2).

The library does not compare the user handle or the backup eligibility, ignores ``crossOrigin`` and ``topOrigin``, and
judges the counter before the signature. So it gets a current count of 0, and the rest is done here; the counter, which
needs the row, is the caller's. Attestation statements are ignored: none is asked for, and no policy hangs on one.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from manifest_auth.protocols.webauthn import credentials
from manifest_auth.protocols.webauthn.credentials import Credential, Refused
from manifest_auth.text import base64url

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

    credential = credentials.read(given)
    _check_client_data(credential, "webauthn.create", expected)
    try:
        attestation = _without_statement(credentials.raw(credential.response.attestation_object, "attestationObject"))
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
        raise Refused("id and attested credential id differ")
    return Registered(
        credential_id=credential.id,
        public_key=verified.credential_public_key,
        algorithm=algorithm,
        counter=verified.sign_count,
        transports=credentials.transports_of(credential),
        aaguid=verified.aaguid,
        backup_eligible=verified.credential_device_type == "multi_device",
        backup_state=verified.credential_backed_up,
    )


def verify_assertion(given: dict[str, Any], expected: Expected, known: Known) -> Asserted:
    """Verifies an answer with a stored credential, whose id the caller has looked up. Raises Refused."""
    from webauthn import verify_authentication_response  # loaded with the first passkey

    credential = credentials.read(given)
    handle = credential.response.user_handle
    if handle != known.handle and (known.needs_handle or handle is not None):
        raise Refused("userHandle: not the owner's")
    _check_client_data(credential, "webauthn.get", expected)
    authenticator_data = credentials.raw(credential.response.authenticator_data, "authenticatorData")
    credentials.raw(credential.response.signature, "signature")
    flags = authenticator_data[_FLAGS_AT] if len(authenticator_data) > _FLAGS_AT else 0
    if bool(flags & _BACKUP_ELIGIBLE) != known.backup_eligible:
        raise Refused("backup eligibility: not as registered")
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
    found = credentials.client_data(credential)
    if found.type != kind:
        raise Refused("clientDataJSON: type")
    if not expected.challenge or found.challenge != expected.challenge:
        raise Refused("challenge")
    if found.origin not in expected.origins:
        raise Refused(f"origin {found.origin!r}")
    if found.cross_origin or found.top_origin:
        raise Refused("crossOrigin: a page of another origin framed ours")


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
        raise Refused("attestationObject")
    return encode_cbor({"fmt": "none", "attStmt": {}, "authData": found["authData"]})


def _check_key(public_key: bytes) -> int:
    """The algorithm of a key that can be used, on the curve and with the sizes that belong to it."""
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    decoded: Any = decode_credential_public_key(public_key)
    if decoded.alg == ES256 and getattr(decoded, "crv", None) != _P256:
        raise Refused("public key: ES256 needs P-256")
    if decoded.alg == RS256:
        least, most = _RSA_BITS
        if not least <= int.from_bytes(decoded.n).bit_length() <= most:
            raise Refused("public key: size of RSA")
        if int.from_bytes(decoded.e) not in _RSA_EXPONENTS:
            raise Refused("public key: exponent of RSA")
    decoded_public_key_to_cryptography(decoded)
    return int(decoded.alg)


def _refuse(error: Exception) -> NoReturn:
    if isinstance(error, Refused):
        raise error
    raise Refused(f"{type(error).__name__}: {error}") from error
