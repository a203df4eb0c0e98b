"""Reads a credential as a browser returns it, strictly (``PublicKeyCredential.toJSON()``, WebAuthn Level 3, 5.1).

The library ignores characters that are not base64url, and members of the client data that are given twice; here both
are refused, so that no two texts mean the same answer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from manifest_auth.text import base64url, strict_json

MOST_ID = 1023  # bytes of a credential id (section 4, Credential ID)
_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})


class Refused(Exception):
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


def read(given: dict[str, Any]) -> Credential:
    """The credential, whose id is the raw id. Raises Refused."""
    try:
        found = msgspec.convert(given, Credential, strict=True)
    except msgspec.ValidationError as error:
        raise Refused(f"shape: {error}") from None
    if found.id != found.raw_id:
        raise Refused("id and rawId differ")
    if not 0 < len(raw(found.id, "id")) <= MOST_ID:
        raise Refused("id: length")
    return found


def raw(text: str | None, name: str) -> bytes:
    """The bytes of a member. Raises Refused where there is none, or it is not base64url."""
    if text is None:
        raise Refused(f"{name}: missing")
    try:
        return base64url.decode(text)
    except ValueError:
        raise Refused(f"{name}: not base64url") from None


def client_data(credential: Credential) -> ClientData:
    """What the browser signed. Raises Refused."""
    try:
        found = strict_json.read(raw(credential.response.client_data_json, "clientDataJSON"), "clientDataJSON")
    except strict_json.Malformed as error:
        raise Refused(str(error)) from None
    if not isinstance(found, dict):
        raise Refused("clientDataJSON: no object")
    kind, challenge, origin = (found.get(name) for name in ("type", "challenge", "origin"))
    if not (isinstance(kind, str) and isinstance(challenge, str) and isinstance(origin, str)):
        raise Refused("clientDataJSON: type, challenge or origin")
    is_foreign = found.get("crossOrigin", False) is not False
    return ClientData(kind, challenge, origin, is_foreign, "topOrigin" in found)


def credential_id_of(given: dict[str, Any]) -> str:
    """The credential id, which is not verified yet. Raises Refused."""
    return read(given).id


def challenge_of(given: dict[str, Any]) -> str:
    """The challenge that is answered, which is not verified yet. Raises Refused."""
    return client_data(read(given)).challenge


def transports_of(credential: Credential) -> tuple[str, ...]:
    """The known ones of the hints on how the authenticator is reached; others are left out."""
    given = credential.response.transports or []
    return tuple(sorted({text for text in given if isinstance(text, str) and text in _TRANSPORTS}))
