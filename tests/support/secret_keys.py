"""The secret key of all installations that tests create, unless a test sets another one."""

from __future__ import annotations

from manifest_auth.runtime.sealing import Macs, SecretKeys

SECRET_KEY = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0"
_KEYS = SecretKeys([bytes.fromhex(SECRET_KEY)])
MACS = Macs(_KEYS)


def the_keys() -> SecretKeys:
    """The keys that a schema upgrade needs."""
    return _KEYS
