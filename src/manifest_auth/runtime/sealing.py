"""Encryption at rest: AES-256-GCM under the installation's secret key, tied to the row by associated data.

A sealed value is ``version(1) || nonce(12) || ciphertext+tag``. The associated data names table, row and column, so a
value moved to another row does not open. The newest key seals; a value that an older one sealed opens as well, until
``keys reencrypt`` has sealed it anew (``docs/decisions/0026-secret-key-rotation.md``).

What is no secret but must be ours carries a MAC instead, under a key of its own that is derived from the secret key.
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
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import Secret, Settings, SettingsError

_LOG = logging.getLogger(__name__)
_VERSION = b"\x01"
_FOR_MACS = b"manifest-auth/mac/1"  # HKDF's label (RFC 5869): a MAC says nothing of what is encrypted, and the reverse
KEY_FILE = "secret.key"


class CannotOpen(Exception):
    """The value was sealed under another key or for another row, or was altered."""


class SecretKeys:
    """The installation's secret keys, newest first.

    Those of a file are read again when the file was replaced, so that servers that run learn of a new key before they
    seal the next value, and need no new start.
    """

    def __init__(self, keys: Sequence[bytes], path: Path | None = None) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        #: Why the file, which was replaced, cannot be read; the keys from before are in use then.
        self.trouble: str | None = None
        self._take(keys)

    def newest(self) -> AESGCM:
        """What new values are sealed with."""
        self.look_again()
        return self._ciphers[0]

    def all(self) -> list[AESGCM]:
        """What values may have been sealed with."""
        return self._ciphers

    def newest_mac_key(self) -> bytes:
        """What new MACs are made with."""
        self.look_again()
        return self._mac_keys[0]

    def all_mac_keys(self) -> list[bytes]:
        """What MACs may have been made with."""
        return self._mac_keys

    @property
    def texts(self) -> list[str]:
        """As they stand in the setting or in the file."""
        return [key.hex() for key in self._keys]

    def look_again(self) -> bool:
        """Reads a file that was replaced. True when it holds other keys now; what cannot be read changes nothing, is
        logged, and tried again."""
        found = _state(self.path)
        if self.path is None or found in (None, self._seen):
            return False
        before = self._keys
        try:
            self._take(_read(self.path))
        except (OSError, ValueError, SettingsError) as error:
            trouble = str(error) if isinstance(error, OSError | SettingsError) else f"{self.path}: is no text"
            if trouble != self.trouble:
                _LOG.error("secret_key_unreadable: %s; the keys from before are still in use", trouble)
            self.trouble = trouble
            return False
        self._seen, self.trouble = found, None
        return self._keys != before

    def _take(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)
        self._ciphers = [AESGCM(key) for key in keys]
        self._mac_keys = [HKDF(SHA256(), 32, None, _FOR_MACS).derive(key) for key in keys]


class Sealer:
    def __init__(self, keys: SecretKeys, random: Random) -> None:
        self.keys = keys
        self._random = random

    def look_again(self) -> str | None:
        """Learns of a key file that was replaced. Why it cannot be read, where that is so."""
        self.keys.look_again()
        return self.keys.trouble

    def seal(self, value: bytes, row: str) -> bytes:
        """Encrypts ``value`` for one row, named like ``signing_keys/KID/secret``."""
        nonce = self._random.bytes(12)
        return _VERSION + nonce + self.keys.newest().encrypt(nonce, value, row.encode())

    def open(self, sealed: bytes, row: str, owner: str = "") -> bytes:
        """The value again. Raises :class:`CannotOpen`, which names the row and, for whoever looks for it, ``owner``."""
        opened = self._open(self.keys.all(), sealed, row)
        if opened is None and self.keys.look_again():
            opened = self._open(self.keys.all(), sealed, row)
        if opened is None:
            raise CannotOpen(f"{row} ({owner})" if owner else row)
        return opened

    def renew(self, sealed: bytes, row: str) -> bytes | None:
        """The value sealed with the newest key, None when it is already. Raises :class:`CannotOpen`."""
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
    """Codes that only who has the secret key can make: keyed BLAKE2b (RFC 7693), 64 hexadecimal digits."""

    def __init__(self, keys: SecretKeys) -> None:
        self._keys = keys

    def make(self, message: bytes) -> str:
        """The code of a message, under the newest key."""
        return _mac(self._keys.newest_mac_key(), message)

    def fits(self, message: bytes, mac: object) -> bool:
        """Whether the code was made of this message, under any of the keys."""
        if not isinstance(mac, str) or not mac.isascii():
            return False
        return self._fits(message, mac) or (self._keys.look_again() and self._fits(message, mac))

    def is_newest(self, message: bytes, mac: str) -> bool:
        """Whether it was made under the newest key."""
        return hmac.compare_digest(self.make(message), mac)

    def _fits(self, message: bytes, mac: str) -> bool:
        return any(hmac.compare_digest(_mac(key, message), mac) for key in self._keys.all_mac_keys())


def _mac(key: bytes, message: bytes) -> str:
    return hashlib.blake2b(message, key=key, digest_size=32).hexdigest()


def secret_keys(settings: Settings, random: Random, *, make: bool = True) -> SecretKeys:
    """The keys of ``MANIFEST_SECRET_KEY``, or of the file in the data folder, made when absent (SQLite only).

    Raises :class:`SettingsError` for a short, malformed or placeholder-like key; unless ``make``, for none at all.
    """
    if settings.secret_key is not None:
        return SecretKeys(_parse(settings.secret_key, "MANIFEST_SECRET_KEY"))
    path = Path(settings.data_dir) / KEY_FILE
    if not make and not path.exists():
        raise SettingsError(f"{path} is not there: this needs the secret key that the store was made with")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path, random)
        return SecretKeys(_read(path), path)
    except OSError as error:
        raise SettingsError(f"MANIFEST_DATA_DIR: {error.filename}: {error.strerror}") from error


def put_new_key_first(path: Path, random: Random) -> None:
    """A new key before those of the file, which is replaced as a whole and keeps its owner, group and mode: the server
    can read it, whoever did this. Two that do so one after the other lose none.

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
    """A new key under its name only once it is whole: of processes that start together, one names its key first and
    all read that one."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{KEY_FILE}-") as file:  # mode 0600
        file.write(random.bytes(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)


def _state(path: Path | None) -> tuple[int, int, int] | None:
    """What tells a file that was replaced or written again from the one before."""
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
        raise SettingsError(f"{name}: must be 32 random bytes; `openssl rand -hex 32` makes one")
    return key
