"""An authenticator and its browser in software (WebAuthn Level 3), with credentials that have real keys.

:class:`Altered` describes the responses of a browser or authenticator that behaves incorrectly.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from manifest_auth.text import base64url

UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
ES256, EDDSA, RS256 = -7, -8, -257
_SHA256 = hashes.SHA256()


class Key:
    """A key pair of one of the three algorithms."""

    def __init__(self, algorithm: int = ES256) -> None:
        self.algorithm = algorithm
        self._private: Any
        if algorithm == ES256:
            self._private = ec.generate_private_key(ec.SECP256R1())
        elif algorithm == EDDSA:
            self._private = ed25519.Ed25519PrivateKey.generate()
        else:
            self._private = rsa.generate_private_key(65537, 2048)

    @property
    def cose(self) -> dict[int, Any]:
        """The public key (RFC 9053, RFC 8230)."""
        public = self._private.public_key()
        if self.algorithm == ES256:
            numbers = public.public_numbers()
            return {1: 2, 3: ES256, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        if self.algorithm == EDDSA:
            return {1: 1, 3: EDDSA, -1: 6, -2: public.public_bytes_raw()}
        numbers = public.public_numbers()
        return {1: 3, 3: RS256, -1: numbers.n.to_bytes(256), -2: numbers.e.to_bytes(3)}

    def sign(self, message: bytes) -> bytes:
        if self.algorithm == ES256:
            signature: bytes = self._private.sign(message, ec.ECDSA(_SHA256))
        elif self.algorithm == EDDSA:
            signature = self._private.sign(message)
        else:
            signature = self._private.sign(message, padding.PKCS1v15(), _SHA256)
        return signature


@dataclass(frozen=True)
class Altered:
    """Differences from a correct response. ``client_data`` replaces members (None omits one), ``response`` does the
    same for the credential's response, and ``outer`` for its other members."""

    flags: int | None = None
    rp_id: str | None = None
    origin: str | None = None
    challenge: str | None = None
    counter: int | None = None
    client_data: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] = field(default_factory=dict)
    outer: dict[str, Any] = field(default_factory=dict)
    key: Key | None = None
    tail: bytes = b""  # appended to the authenticator data, and signed too


RIGHT = Altered()


@dataclass
class Made:
    """A credential that an authenticator keeps. ``counter`` is the next value that it reports, or None for always 0."""

    id: str
    key: Key
    rp_id: str
    handle: str
    flags: int
    counter: int | None

    def altered(self, **members: Any) -> Made:
        return replace(self, **members)


@dataclass
class Authenticator:
    """One person's browser at one origin, and the credentials created there."""

    origin: str
    algorithm: int = ES256
    flags: int = UP | UV | BE | BS
    counts: bool = False
    aaguid: bytes = bytes.fromhex("bada5566a7aa401fbd9645619a55120d")  # 1Password
    made: list[Made] = field(default_factory=list)

    def create(self, options: dict[str, Any], altered: Altered = RIGHT) -> dict[str, Any]:
        """The response of ``navigator.credentials.create`` to ``publicKey``, as JSON. Keeps the credential."""
        return self._create(options, os.urandom(32), altered)

    def create_again(self, options: dict[str, Any], identifier: str, key: Key) -> dict[str, Any]:
        """Like :meth:`create`, but with the ID of another credential, such as another person's."""
        return self._create(options, base64url.decode(identifier), Altered(key=key))

    def _create(self, options: dict[str, Any], identifier: bytes, altered: Altered) -> dict[str, Any]:
        key = altered.key or Key(self.algorithm)
        made = Made(
            base64url.encode(identifier), key, options["rp"]["id"], options["user"]["id"], self.flags,
            0 if self.counts else None,
        )  # fmt: skip
        self.made.append(made)
        attested = self.aaguid + len(identifier).to_bytes(2) + identifier + cbor2.dumps(key.cose)
        data = _authenticator_data(made, altered, (self.flags | AT), attested)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client_data = self._client_data("webauthn.create", options["challenge"], altered)
        response: dict[str, Any] = {
            "clientDataJSON": base64url.encode(client_data),
            "attestationObject": base64url.encode(attestation),
            "transports": ["internal", "hybrid"],
        }
        return _credential(made, response, altered)

    def get(self, options: dict[str, Any], altered: Altered = RIGHT, *, by: Made | None = None) -> dict[str, Any]:
        """The response of ``navigator.credentials.get``, for the newest credential or for ``by``."""
        allowed = [one["id"] for one in options.get("allowCredentials", [])]
        made = by or next(one for one in reversed(self.made) if not allowed or one.id in allowed)
        if made.counter is not None:
            made.counter += 1
        data = _authenticator_data(made, altered, made.flags, b"")
        client_data = self._client_data("webauthn.get", options["challenge"], altered)
        signature = (altered.key or made.key).sign(data + hashlib.sha256(client_data).digest())
        response: dict[str, Any] = {
            "clientDataJSON": base64url.encode(client_data),
            "authenticatorData": base64url.encode(data),
            "signature": base64url.encode(signature),
            "userHandle": made.handle,
        }
        return _credential(made, response, altered)

    def _client_data(self, kind: str, challenge: str, altered: Altered) -> bytes:
        members = {
            "type": kind,
            "challenge": altered.challenge or challenge,
            "origin": altered.origin or self.origin,
            "crossOrigin": False,
        }
        return json.dumps(_merged(members, altered.client_data)).encode()


def _authenticator_data(made: Made, altered: Altered, flags: int, attested: bytes) -> bytes:
    rp_id_hash = hashlib.sha256((altered.rp_id or made.rp_id).encode()).digest()
    sent = flags if altered.flags is None else altered.flags
    counter = altered.counter if altered.counter is not None else made.counter or 0
    return rp_id_hash + bytes([sent]) + counter.to_bytes(4) + attested + altered.tail


def _credential(made: Made, response: dict[str, Any], altered: Altered) -> dict[str, Any]:
    members = {
        "id": made.id,
        "rawId": made.id,
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": _merged(response, altered.response),
    }
    return _merged(members, altered.outer)


def _merged(members: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **others}.items() if value is not None}
