"""Password hashes that other systems made: told apart by their prefix, checked once, then replaced by ours.

Read: bcrypt (``$2a$ $2b$ $2y$``), PBKDF2 (Django's ``pbkdf2_sha256$``, passlib's ``$pbkdf2-sha256$`` and -sha512),
scrypt (Django's ``scrypt$``, Werkzeug's ``scrypt:``, passlib's ``$scrypt$``). Costs are bounded, so that an imported
text cannot keep a processor busy for minutes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from re import Match

import bcrypt

_B64 = r"[A-Za-z0-9+/=]+"
_MAX_ITERATIONS = 10_000_000
_MAX_SCRYPT_MEMORY = 256 * 1024 * 1024


def _derive_scrypt(password: bytes, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    if 128 * n * r > _MAX_SCRYPT_MEMORY or p > 16 or length > 128:
        raise ValueError("scrypt cost out of bounds")
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=_MAX_SCRYPT_MEMORY + (1 << 20), dklen=length)


def _derive_pbkdf2(password: bytes, salt: bytes, name: str, iterations: int, length: int) -> bytes:
    if not 1 <= iterations <= _MAX_ITERATIONS:
        raise ValueError("PBKDF2 cost out of bounds")
    return hashlib.pbkdf2_hmac(name, password, salt, iterations, length)


def _adapted(text: str) -> bytes:
    """passlib's base64: ``.`` for ``+``, no padding."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))


def _bcrypt(found: Match[str], password: bytes) -> bool:
    if int(found["cost"]) > 16:
        raise ValueError("bcrypt cost out of bounds")
    # bcrypt reads 72 bytes; the systems that made these hashes cut there too. New hashes are Argon2id, which does not.
    return bcrypt.checkpw(password[:72], b"$2b$" + found[0].encode()[4:])


def _django_pbkdf2(found: Match[str], password: bytes) -> bool:
    want = base64.b64decode(found["hash"])
    name = found["name"]
    return hmac.compare_digest(_derive_pbkdf2(password, found["salt"].encode(), name, int(found["n"]), len(want)), want)


def _passlib_pbkdf2(found: Match[str], password: bytes) -> bool:
    want = _adapted(found["hash"])
    return hmac.compare_digest(
        _derive_pbkdf2(password, _adapted(found["salt"]), found["name"], int(found["n"]), len(want)), want
    )


def _django_scrypt(found: Match[str], password: bytes) -> bool:
    want = base64.b64decode(found["hash"])
    n, r, p = int(found["n"]), int(found["r"]), int(found["p"])
    return hmac.compare_digest(_derive_scrypt(password, found["salt"].encode(), n, r, p, len(want)), want)


def _werkzeug_scrypt(found: Match[str], password: bytes) -> bool:
    want = bytes.fromhex(found["hash"])
    n, r, p = int(found["n"]), int(found["r"]), int(found["p"])
    return hmac.compare_digest(_derive_scrypt(password, found["salt"].encode(), n, r, p, len(want)), want)


def _passlib_scrypt(found: Match[str], password: bytes) -> bool:
    want = _adapted(found["hash"])
    n, r, p = 1 << min(int(found["ln"]), 31), int(found["r"]), int(found["p"])
    return hmac.compare_digest(_derive_scrypt(password, _adapted(found["salt"]), n, r, p, len(want)), want)


_FORMATS: tuple[tuple[re.Pattern[str], Callable[[Match[str], bytes], bool]], ...] = (
    (re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}"), _bcrypt),
    (re.compile(rf"pbkdf2_(?P<name>sha256|sha1)\$(?P<n>\d{{1,8}})\$(?P<salt>[^$]+)\$(?P<hash>{_B64})"), _django_pbkdf2),
    (
        re.compile(
            r"\$pbkdf2-(?P<name>sha256|sha512)\$(?P<n>\d{1,8})\$(?P<salt>[./A-Za-z0-9]+)\$(?P<hash>[./A-Za-z0-9]+)"
        ),
        _passlib_pbkdf2,
    ),
    (
        re.compile(rf"scrypt\$(?P<salt>[^$]+)\$(?P<n>\d{{1,8}})\$(?P<r>\d{{1,3}})\$(?P<p>\d{{1,3}})\$(?P<hash>{_B64})"),
        _django_scrypt,
    ),
    (
        re.compile(r"scrypt:(?P<n>\d{1,8}):(?P<r>\d{1,3}):(?P<p>\d{1,3})\$(?P<salt>[^$]+)\$(?P<hash>[0-9a-f]+)"),
        _werkzeug_scrypt,
    ),
    (
        re.compile(
            r"\$scrypt\$ln=(?P<ln>\d{1,2}),r=(?P<r>\d{1,3}),p=(?P<p>\d{1,3})\$(?P<salt>[+/.A-Za-z0-9]+)\$(?P<hash>[+/.A-Za-z0-9]+)"
        ),
        _passlib_scrypt,
    ),
)


def is_known(stored: str) -> bool:
    """Whether the text is a hash of one of the foreign formats."""
    return any(pattern.fullmatch(stored) for pattern, _ in _FORMATS)


def verify(stored: str, password: bytes) -> bool:
    """Whether the password made the hash. False, too, for a text that is no hash or whose cost is out of bounds."""
    for pattern, check in _FORMATS:
        found = pattern.fullmatch(stored)
        if found:
            try:
                return check(found, password)
            except (ValueError, binascii.Error, MemoryError):
                return False
    return False
