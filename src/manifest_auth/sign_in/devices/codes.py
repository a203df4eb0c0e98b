"""The codes of devices and pairings: random, short where people type them, stored as hashes.

A short code is stored as an HMAC under the keys of forms, each use with a label: a dump of the store cannot be searched
for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from manifest_auth.runtime.clock import Random
from manifest_auth.services import Services
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.text.scan_codes import random_letters

USER_CODE, TYPED, SCANNED = 8, 10, 26  # letters; 34.5, 43 and 130 bits


def user_code(random: Random) -> str:
    """A code that a device shows and its person types."""
    return random_letters(random.bytes, USER_CODE)


def typed(random: Random) -> str:
    """A code that a person's screen shows and a device is told."""
    return random_letters(random.bytes, TYPED)


def scanned(random: Random) -> str:
    """A code that is scanned, in base32."""
    return base64.b32encode(random.bytes(17)).decode()[:SCANNED]


def digits(random: Random) -> str:
    """Two digits that a device shows, all equally likely."""
    while (byte := random.bytes(1)[0]) >= 200:
        pass
    return f"{byte % 100:02}"


def hash_of(code: str) -> str:
    """The stored hash of a code that has 128 random bits or more: a plain SHA-256 is enough."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def mark(services: Services, use: str, tenant_id: int, code: str) -> str:
    """How a short code is stored. ``use``: what it is for."""
    return _mac(services.keys.signing(Purpose.FORMS).raw, use, tenant_id, code)


def marks(services: Services, use: str, tenant_id: int, code: str) -> list[str]:
    """How a short code may be stored, by all keys that still count."""
    return [_mac(key.raw, use, tenant_id, code) for key in services.keys.verifying(Purpose.FORMS)]


def _mac(key: bytes, use: str, tenant_id: int, code: str) -> str:
    text = f"device\0{use}\0{tenant_id}\0{code}".encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()
