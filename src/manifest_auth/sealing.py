"""Encryption at rest: AES-256-GCM under the installation's secret key, tied to the row by associated data.

A sealed value is ``version(1) || nonce(12) || ciphertext+tag``. The associated data names table, row and column, so a
value moved to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from manifest_auth.clock import Random
from manifest_auth.settings import Secret, Settings, SettingsError

_VERSION = b"\x01"
KEY_FILE = "secret.key"


class CannotOpen(Exception):
    """The value was sealed under another key or for another row, or was altered."""


class Sealer:
    def __init__(self, key: bytes, random: Random) -> None:
        self._cipher = AESGCM(key)
        self._random = random

    def seal(self, value: bytes, row: str) -> bytes:
        """Encrypts ``value`` for one row, named like ``signing_keys/KID/secret``."""
        nonce = self._random.bytes(12)
        return _VERSION + nonce + self._cipher.encrypt(nonce, value, row.encode())

    def open(self, sealed: bytes, row: str) -> bytes:
        """The value again. Raises :class:`CannotOpen`."""
        try:
            if sealed[:1] != _VERSION:
                raise CannotOpen(row)
            return self._cipher.decrypt(sealed[1:13], sealed[13:], row.encode())
        except (InvalidTag, ValueError) as error:
            raise CannotOpen(row) from error


def secret_key(settings: Settings, random: Random) -> bytes:
    """The 32 bytes of ``MANIFEST_SECRET_KEY``, or of the file in the data folder, made when absent (SQLite only).

    Raises :class:`SettingsError` for a short, malformed or placeholder-like key.
    """
    if settings.secret_key is not None:
        return _parse(settings.secret_key, "MANIFEST_SECRET_KEY")
    path = Path(settings.data_dir) / KEY_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path, random)
        return _parse(Secret(path.read_text("ascii").strip()), str(path))
    except OSError as error:
        raise SettingsError(f"MANIFEST_DATA_DIR: {error}") from error


def _make(path: Path, random: Random) -> None:
    """A new key under its name only once it is whole: of processes that start together, one names its key first and
    all read that one."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{KEY_FILE}-") as file:  # mode 0600
        file.write(random.bytes(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)


def _parse(secret: Secret, name: str) -> bytes:
    text = secret.reveal()
    try:
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise SettingsError(f"{name}: must be 32 random bytes as 64 hexadecimal digits or base64") from None
    if len(key) != 32 or len(set(key)) < 12:
        raise SettingsError(f"{name}: must be 32 random bytes; `openssl rand -hex 32` makes one")
    return key
