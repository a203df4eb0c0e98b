"""Encryption at rest: AES-256-GCM with the installation's secret key, bound to the row by associated data.

A sealed value is ``version(1) || nonce(12) || ciphertext+tag``. The associated data names table, row and column, so a
value that is moved to another row cannot be decrypted. The newest key encrypts; older keys still decrypt, until ``keys
reencrypt`` has encrypted all values again (``docs/decisions/0026-secret-key-rotation.md``).

Data that is not secret but must be genuine has a MAC instead, with another key that is derived from the secret key.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import logging
import os
import re
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import Secret, Settings, SettingsError

_LOG = logging.getLogger(__name__)
_VERSION = b"\x01"
_MAC_LABEL = b"manifest-auth/mac/1"  # HKDF's info (RFC 5869), which separates the MAC key from the encryption key
KEY_FILE = "secret.key"


class CannotOpen(Exception):
    """The value was sealed with another key or for another row, or was changed."""


class SecretKeys:
    """The installation's secret keys, newest first.

    A replaced key file is read again, so that running servers use a new key for the next value without a restart.
    """

    def __init__(self, keys: Sequence[bytes], path: Path | None = None) -> None:
        self.path = path
        self._file_state: tuple[int, int, int] | None = None
        #: Why the replaced file cannot be read; the previous keys stay in use then.
        self.read_error: str | None = None
        self._set(keys)

    def newest(self) -> AESGCM:
        """The cipher for new values."""
        self.reload()
        return self.ciphers[0]

    def newest_mac_key(self) -> bytes:
        """The key for new MACs."""
        self.reload()
        return self.mac_keys[0]

    @property
    def texts(self) -> list[str]:
        """The keys as 64 hexadecimal digits each."""
        return [key.hex() for key in self._keys]

    def reload(self) -> bool:
        """Reads the key file again if it was replaced. Returns True if it now has other keys. A file that can't be read
        changes nothing, is logged, and is tried again."""
        found = _state(self.path)
        if self.path is None or found in (None, self._file_state):
            return False
        before = self._keys
        try:
            self._set(_read(self.path))
        except (OSError, ValueError, SettingsError) as error:
            read_error = str(error) if isinstance(error, OSError | SettingsError) else f"{self.path}: isn't a text file"
            if read_error != self.read_error:
                _LOG.error("secret_key_unreadable: %s; the previous keys are still in use", read_error)
            self.read_error = read_error
            return False
        self._file_state, self.read_error = found, None
        return self._keys != before

    def _set(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)
        self.ciphers = [AESGCM(key) for key in keys]
        self.mac_keys = [HKDF(SHA256(), 32, None, _MAC_LABEL).derive(key) for key in keys]


class Sealer:
    def __init__(self, keys: SecretKeys, random: Random) -> None:
        self.keys = keys
        self._random = random

    def reload(self) -> str | None:
        """Reads a replaced key file. Returns the reason if it cannot be read."""
        self.keys.reload()
        return self.keys.read_error

    def seal(self, value: bytes, row: str) -> bytes:
        """Encrypts ``value`` for one row, with a name like ``signing_keys/KID/secret``."""
        nonce = self._random.bytes(12)
        return _VERSION + nonce + self.keys.newest().encrypt(nonce, value, row.encode())

    def open(self, sealed: bytes, row: str, owner: str = "") -> bytes:
        """Returns the decrypted value. Raises :class:`CannotOpen`, which names the row and, for the operator,
        ``owner``."""
        opened = self._open(self.keys.ciphers, sealed, row)
        if opened is None and self.keys.reload():
            opened = self._open(self.keys.ciphers, sealed, row)
        if opened is None:
            raise CannotOpen(f"{row} ({owner})" if owner else row)
        return opened

    def renew(self, sealed: bytes, row: str) -> bytes | None:
        """Returns the value sealed with the newest key; None if it already is. Raises :class:`CannotOpen`."""
        if self._open([self.keys.newest()], sealed, row) is not None:
            return None
        return self.seal(self.open(sealed, row), row)

    @staticmethod
    def _open(ciphers: list[AESGCM], sealed: bytes, row: str) -> bytes | None:
        if sealed[:1] != _VERSION:
            return None
        for cipher in ciphers:
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(sealed[1:13], sealed[13:], row.encode())
        return None


class Macs:
    """Message authentication codes with the secret key: keyed BLAKE2b (RFC 7693), 64 hexadecimal digits."""

    def __init__(self, keys: SecretKeys) -> None:
        self._keys = keys

    def make(self, message: bytes) -> str:
        """Returns the MAC of a message, with the newest key."""
        return _mac(self._keys.newest_mac_key(), message)

    def is_valid(self, message: bytes, mac: object) -> bool:
        """Whether the MAC belongs to this message, with any of the keys."""
        if not isinstance(mac, str) or not mac.isascii():
            return False
        return self._is_valid(message, mac) or (self._keys.reload() and self._is_valid(message, mac))

    def is_newest(self, message: bytes, mac: str) -> bool:
        """Whether the MAC was made with the newest key."""
        return hmac.compare_digest(self.make(message), mac)

    def _is_valid(self, message: bytes, mac: str) -> bool:
        return any(hmac.compare_digest(_mac(key, message), mac) for key in self._keys.mac_keys)


def _mac(key: bytes, message: bytes) -> str:
    return hashlib.blake2b(message, key=key, digest_size=32).hexdigest()


def secret_keys(settings: Settings) -> SecretKeys:
    """Returns the keys of ``MANIFEST_SECRET_KEY``, of the file that contains it, or of the one in the data folder.

    Raises :class:`SettingsError` for a missing file, or for a short, malformed or placeholder-like key.
    """
    if settings.secret_key is not None:
        path = settings.secret_key.path
        return SecretKeys(_parse(settings.secret_key, path or "MANIFEST_SECRET_KEY"), Path(path) if path else None)
    own = Path(settings.data_dir) / KEY_FILE
    try:
        return SecretKeys(_read(own), own)
    except FileNotFoundError:
        raise SettingsError(
            f"{own} doesn't exist, but the secret key that the database was created with is "
            "required; if it is lost, see docs/operations/backup.md, Lost secret key"
        ) from None
    except OSError as error:
        raise SettingsError(f"MANIFEST_DATA_DIR: {error.filename}: {error.strerror}") from error


def keys_of_a_start(settings: Settings, random: Random, is_new: Callable[[], bool]) -> SecretKeys:
    """Returns the keys like :func:`secret_keys`, but creates a missing file for a database that ``is_new`` (only
    SQLite)."""
    path = Path(settings.data_dir) / KEY_FILE
    if settings.secret_key is None and not path.exists() and is_new():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path, random)
        except OSError as error:
            raise SettingsError(f"MANIFEST_DATA_DIR: {error.filename}: {error.strerror}") from error
    return secret_keys(settings)


def add_newest_key(path: Path, random: Random) -> None:
    """Adds a new key before the keys of the file. The file is replaced as a whole and keeps its owner, group and mode,
    so that the server can read it. Concurrent calls lose no key.

    Raises OSError, SettingsError.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        texts = [random.bytes(32).hex(), *(key.hex() for key in _read(path))]
        before = path.stat()
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{KEY_FILE}-", delete=False) as file:
            whole = Path(file.name)
            try:
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
                file.write("".join(f"{text}\n" for text in texts))
                file.flush()
                os.fsync(file.fileno())
                whole.replace(path)
            except BaseException:
                whole.unlink()
                raise
        os.fsync(folder)
    finally:
        os.close(folder)


def _make(path: Path, random: Random) -> None:
    """Creates the key file atomically: if several processes start at the same time, the first creates it and all read
    the same key."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{KEY_FILE}-") as file:  # mode 0600
        file.write(random.bytes(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)


def _state(path: Path | None) -> tuple[int, int, int] | None:
    """Returns a value that changes when the file is replaced or written."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> list[bytes]:
    return _parse(Secret(path.read_text("ascii")), str(path))


def _parse(secret: Secret, name: str) -> list[bytes]:
    texts = re.split(r"[\s,]+", secret.reveal().strip(" \t\r\n,"))
    return [_parse_one(text, name) for text in dict.fromkeys(texts)]


def _parse_one(text: str, name: str) -> bytes:
    try:
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise SettingsError(f"{name}: must be 32 random bytes as 64 hexadecimal digits or base64") from None
    if len(key) != 32 or len(set(key)) < 12:
        raise SettingsError(f"{name}: must be 32 random bytes; to create a key, run `openssl rand -hex 32`")
    return key
