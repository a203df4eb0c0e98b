"""Password hashes of other systems, recognized by their prefix.

The first sign-in replaces them with Argon2id.

Supported: bcrypt (``$2a$ $2b$ $2y$``), PBKDF2 (Django's ``pbkdf2_sha256$``, Werkzeug's ``pbkdf2:sha256:``, passlib's
``$pbkdf2-sha256$`` and -sha512), scrypt (Django's ``scrypt$``, Werkzeug's ``scrypt:``, passlib's ``$scrypt$``). An
imported hash can cost about ten times as much as one of this server, and each sign-in attempt computes it. Hashes that
an earlier release accepted with a higher cost are still computed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from re import Match
from typing import Final

_B64, _OWN = r"[A-Za-z0-9+/=]+", r"[./A-Za-z0-9]+"  # Django's, passlib's
# Limits for stored hashes.
_MAX_BCRYPT, _MAX_ITERATIONS = 16, 10_000_000
_MAX_SCRYPT_MEMORY = 256 * 1024 * 1024
#: Maximum costs of imported hashes: bcrypt's cost, PBKDF2's iterations, scrypt's N x r x p.
MOST_BCRYPT: Final = 13
MOST_PBKDF2: Final = 2_000_000
MOST_SCRYPT: Final = 2**20

#: Whether a password matches the hash.
Check = Callable[[bytes], bool]


#: The check, and the fault in the hash's cost when it is imported (empty: none).
_Hash = tuple[Check, str]
_Decode = Callable[[str], bytes]


def _scrypt(found: Match[str], salt: bytes, want: bytes) -> _Hash:
    _check_length(want)
    cost = found.groupdict()
    n = int(cost["n"]) if "n" in cost else 1 << min(int(cost["ln"]), 31)
    r, p = int(cost["r"]), int(cost["p"])
    if not (n > 1 and n & (n - 1) == 0 and r >= 1 and 128 * n * r <= _MAX_SCRYPT_MEMORY and 1 <= p <= 16):
        raise ValueError("scrypt cost out of bounds")
    memory, length = _MAX_SCRYPT_MEMORY + (1 << 20), len(want)

    def check(password: bytes) -> bool:
        made = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=length)
        return hmac.compare_digest(made, want)

    return check, (f"scrypt: N x r x p is at most {MOST_SCRYPT:,}" if n * r * p > MOST_SCRYPT else "")


def _pbkdf2(found: Match[str], salt: bytes, want: bytes) -> _Hash:
    _check_length(want)
    name, iterations = found["name"], int(found["n"])
    if not 1 <= iterations <= _MAX_ITERATIONS:
        raise ValueError("PBKDF2 cost out of bounds")

    def check(password: bytes) -> bool:
        return hmac.compare_digest(hashlib.pbkdf2_hmac(name, password, salt, iterations, len(want)), want)

    return check, (f"PBKDF2: at most {MOST_PBKDF2:,} iterations" if iterations > MOST_PBKDF2 else "")


def _check_length(want: bytes) -> None:
    if not 16 <= len(want) <= 128:
        raise ValueError("length of the hash out of bounds")


def _passlib_base64(text: str) -> bytes:
    """Decodes passlib's base64: ``.`` for ``+``, no padding."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))


def _bcrypt(found: Match[str]) -> _Hash:
    import bcrypt  # most installations have no such hash

    if not 4 <= (cost := int(found["cost"])) <= _MAX_BCRYPT:
        raise ValueError("bcrypt cost out of bounds")
    stored = b"$2b$" + found[0].encode()[4:]
    # bcrypt reads 72 bytes, and the systems that created these hashes truncate there too. New hashes are Argon2id,
    # which does not.
    too_costly = f"bcrypt: the cost is at most {MOST_BCRYPT}" if cost > MOST_BCRYPT else ""
    return lambda password: bcrypt.checkpw(password[:72], stored), too_costly


_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
#: How these formats encode salt and hash.
_DJANGO, _WERKZEUG = (str.encode, base64.b64decode), (str.encode, bytes.fromhex)
_PASSLIB = (_passlib_base64, _passlib_base64)
_FORMATS: tuple[tuple[Callable[[Match[str], bytes, bytes], _Hash], tuple[_Decode, _Decode], str], ...] = (
    (_pbkdf2, _DJANGO, rf"pbkdf2_(?P<name>sha256|sha1)\$(?P<n>\d{{1,8}})\$(?P<salt>[^$]+)\$(?P<hash>{_B64})"),
    (_pbkdf2, _PASSLIB, rf"\$pbkdf2-(?P<name>sha256|sha512)\$(?P<n>\d{{1,8}})\$(?P<salt>{_OWN})\$(?P<hash>{_OWN})"),
    (_pbkdf2, _WERKZEUG, r"pbkdf2:(?P<name>sha256|sha512):(?P<n>\d{1,8})\$(?P<salt>[^$]+)\$(?P<hash>(?:[0-9a-f]{2})+)"),
    (
        _scrypt,
        _DJANGO,
        rf"scrypt\$(?P<salt>[^$]+)\$(?P<n>\d{{1,8}})\$(?P<r>\d{{1,3}})\$(?P<p>\d{{1,3}})\$(?P<hash>{_B64})",
    ),
    (_scrypt, _WERKZEUG, r"scrypt:(?P<n>\d{1,8}):(?P<r>\d{1,3}):(?P<p>\d{1,3})\$(?P<salt>[^$]+)\$(?P<hash>[0-9a-f]+)"),
    (
        _scrypt,
        _PASSLIB,
        r"\$scrypt\$ln=(?P<ln>\d{1,2}),r=(?P<r>\d{1,3}),p=(?P<p>\d{1,3})"
        r"\$(?P<salt>[+/.A-Za-z0-9]+)\$(?P<hash>[+/.A-Za-z0-9]+)",
    ),
)


def _read(stored: str) -> _Hash | None:
    try:
        if found := _BCRYPT.fullmatch(stored):
            return _bcrypt(found)
        for read, (salt_of, hash_of), pattern in _FORMATS:
            if found := re.fullmatch(pattern, stored):
                return read(found, salt_of(found["salt"]), hash_of(found["hash"]))
    except ValueError:  # also from base64
        pass
    return None


def is_known(stored: str) -> bool:
    """Whether the text is a hash in one of these formats, with an accepted cost."""
    return _read(stored) is not None


def why_refused(stored: str) -> str | None:
    """Returns the fault in the cost of an imported hash, empty if there is none; None if the text isn't a hash in these
    formats."""
    found = _read(stored)
    return None if found is None else found[1]


def verify(stored: str, password: bytes) -> bool:
    """Whether the password matches the hash. False also for an invalid hash or an excessive cost."""
    found = _read(stored)
    try:
        return found is not None and found[0](password)
    except (ValueError, MemoryError):
        return False
