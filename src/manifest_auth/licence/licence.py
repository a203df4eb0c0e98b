"""License keys: signed texts, verified offline with the vendor's public key.

Format: ``MANIFEST1.`` base64url(JSON members) ``.`` base64url(Ed25519 signature over everything before the last dot).
The version prefix fixes the algorithm, so a key can't choose it. ``docs/on-premise.md`` documents the members.
"""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from manifest_auth.text import strict_json
from manifest_auth.text.base64url import decode, encode

VERSION = "MANIFEST1"
MAX_LENGTH = 8192
GRACE_DAYS = 14
DAY_MS = 86_400_000
MAX_SEATS = 10**9
_LATEST = 250_000_000_000  # the year 9892, so that the end of the grace period is still a valid date
_Count = Annotated[int, Meta(ge=0, le=MAX_SEATS)]
_Id = Annotated[str, Meta(min_length=1, max_length=100)]


class BadLicence(Exception):
    """The key is invalid. The text is for the log."""


class Seats(msgspec.Struct, frozen=True):
    """Seats for each license type."""

    full: _Count = 0
    operate: _Count = 0
    connect: _Count = 0


class Licence(msgspec.Struct, frozen=True, rename="camel"):
    """The content of a key. Times are in seconds since 1970 UTC. ``revokes`` lists IDs of licenses that are no longer
    accepted. ``resets_clock`` means that the latest time that the installation recorded was wrong, and is reset."""

    id: _Id
    customer: Annotated[str, Meta(min_length=1, max_length=200)]
    issued_at: Annotated[int, Meta(ge=0)]
    expires_at: Annotated[int, Meta(ge=0, le=_LATEST)]
    seats: Seats = Seats()
    features: tuple[str, ...] = ()
    installation: str | None = None
    grace_days: Annotated[int, Meta(ge=0, le=365)] = GRACE_DAYS
    revokes: tuple[_Id, ...] = ()
    resets_clock: bool = False

    @property
    def expires_ms(self) -> int:
        return self.expires_at * 1000

    @property
    def ends_ms(self) -> int:
        """When the grace period ends."""
        return self.expires_ms + self.grace_days * DAY_MS


def sign(licence: Licence, private: Ed25519PrivateKey) -> str:
    """Returns the text of a license key."""
    signed = f"{VERSION}.{encode(msgspec.json.encode(licence))}"
    return f"{signed}.{encode(private.sign(signed.encode()))}"


def verify(text: str, public_keys: list[Ed25519PublicKey]) -> Licence:
    """Returns the content of a genuine key, without checking its times. Raises BadLicence."""
    if len(text) > MAX_LENGTH or not text.isascii():
        raise BadLicence(f"it has more than {MAX_LENGTH} characters, or characters other than ASCII")
    signed, _, signature = text.rpartition(".")
    version, _, payload = signed.partition(".")
    if version != VERSION:
        raise BadLicence(f"it doesn't begin with {VERSION}.")
    try:
        raw = decode(signature)
        content = decode(payload)
    except ValueError:
        raise BadLicence("it is damaged: its parts aren't base64url") from None
    if not any(_signed_by(key, raw, signed.encode()) for key in public_keys):
        raise BadLicence("no key in MANIFEST_LICENSE_PUBLIC_KEY signed it")
    try:
        found = msgspec.convert(strict_json.read(content), Licence)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadLicence(f"members: {error}") from None
    if found.resets_clock and found.installation is None:
        raise BadLicence("members: a key that resets the clock must be bound to an installation")
    return found


def public_key(text: str) -> Ed25519PublicKey:
    """Decodes a public key from base64. Raises ValueError."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


def private_key(text: str) -> Ed25519PrivateKey:
    """Decodes a private key from base64. Raises ValueError."""
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.strip(), validate=True))


def generate() -> tuple[str, str]:
    """Creates a key pair: private and public key in base64."""
    private = Ed25519PrivateKey.generate()
    return (
        base64.b64encode(private.private_bytes_raw()).decode(),
        base64.b64encode(private.public_key().public_bytes_raw()).decode(),
    )


def _signed_by(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
