"""Password hashes of other systems, created with the standard library and bcrypt, never with our code."""

from __future__ import annotations

import base64
import hashlib

import bcrypt
from argon2.low_level import Type, hash_secret


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _adapted(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=").replace("+", ".")


def argon2(password: str, *, memory: int = 128, passes: int = 2, lanes: int = 1, tag: int = 32, salt: int = 16) -> str:
    made = hash_secret(password.encode(), b"s" * salt, passes, memory, lanes, tag, Type.ID)
    return made.decode()


def bcrypt_hash(password: str, prefix: str = "2b", cost: int = 4) -> str:
    made = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()
    return f"${prefix}{made[3:]}"


def django_pbkdf2(password: str, name: str = "sha256", iterations: int = 1000) -> str:
    raw = hashlib.pbkdf2_hmac(name, password.encode(), b"grain", iterations)
    return f"pbkdf2_{name}${iterations}$grain${_b64(raw)}"


def passlib_pbkdf2(password: str, name: str = "sha256", iterations: int = 1000) -> str:
    salt = b"\xff\xfesixteen bytes!"  # its base64 contains the character that passlib writes as a dot
    raw = hashlib.pbkdf2_hmac(name, password.encode(), salt, iterations)
    return f"$pbkdf2-{name}${iterations}${_adapted(salt)}${_adapted(raw)}"


def django_scrypt(password: str, n: int = 1024, p: int = 1) -> str:
    raw = hashlib.scrypt(password.encode(), salt=b"grain", n=n, r=8, p=p, dklen=64)
    return f"scrypt$grain${n}$8${p}${_b64(raw)}"


def werkzeug_pbkdf2(password: str) -> str:
    raw = hashlib.pbkdf2_hmac("sha256", password.encode(), b"grain", 1000)
    return f"pbkdf2:sha256:1000$grain${raw.hex()}"


def werkzeug_scrypt(password: str) -> str:
    raw = hashlib.scrypt(password.encode(), salt=b"grain", n=1024, r=8, p=1, dklen=64)
    return f"scrypt:1024:8:1$grain${raw.hex()}"


def passlib_scrypt(password: str) -> str:
    raw = hashlib.scrypt(password.encode(), salt=b"sixteen bytes!!!", n=1024, r=8, p=1, dklen=32)
    return f"$scrypt$ln=10,r=8,p=1${_adapted(b'sixteen bytes!!!')}${_adapted(raw)}"


def one_of_each(password: str) -> dict[str, str]:
    """A hash of the password in every supported format."""
    return {
        "argon2id of another cost": argon2(password),
        "argon2id with a short tag": argon2(password, memory=64, passes=1, tag=16),
        "argon2id with a short salt": argon2(password, memory=64, passes=1, salt=8),
        "argon2id of two lanes": argon2(password, memory=64, passes=1, lanes=2),
        "bcrypt 2a": bcrypt_hash(password, "2a"),
        "bcrypt 2b": bcrypt_hash(password, "2b"),
        "bcrypt 2y": bcrypt_hash(password, "2y"),
        "Django PBKDF2": django_pbkdf2(password),
        "Django PBKDF2 with SHA-1": django_pbkdf2(password, "sha1"),
        "passlib PBKDF2": passlib_pbkdf2(password),
        "passlib PBKDF2 with SHA-512": passlib_pbkdf2(password, "sha512"),
        "Django scrypt": django_scrypt(password),
        "Werkzeug PBKDF2": werkzeug_pbkdf2(password),
        "Werkzeug scrypt": werkzeug_scrypt(password),
        "passlib scrypt": passlib_scrypt(password),
    }


#: Texts that aren't hashes, and hashes so costly that they would occupy a processor or the memory for minutes.
REFUSED = {
    "plain text": "kestrel-harbor-21-violet",
    "MD5": "5f4dcc3b5aa765d61d8327deb882cf99",
    "crypt SHA-512": "$6$rounds=5000$saltsalt$" + "a" * 86,
    "argon2i": argon2("x").replace("argon2id", "argon2i"),
    "argon2 version 16": argon2("x").replace("v=19", "v=16"),
    "argon2 of 2 GiB": argon2("x").replace("m=128", "m=2097152"),
    "argon2 of 9999 passes over 1 GiB": argon2("x").replace("m=128,t=2", "m=1048576,t=9999"),
    "argon2 of no pass": argon2("x").replace("t=2", "t=0"),
    "argon2 of no lane": argon2("x").replace("p=1", "p=0"),
    "argon2 of more lanes than memory": argon2("x").replace("p=1", "p=200"),
    "argon2 with a tag of 4 bytes": argon2("x").rpartition("$")[0] + "$AAAAAA",
    "argon2 with bad base64": argon2("x").rpartition("$")[0] + "$" + "A" * 45,
    "argon2 with a line after it": argon2("x") + "\n",
    "bcrypt of cost 31": bcrypt_hash("x").replace("$04$", "$31$"),
    "bcrypt of cost 17": bcrypt_hash("x").replace("$04$", "$17$"),
    "bcrypt of cost 3": bcrypt_hash("x").replace("$04$", "$03$"),
    "bcrypt cut short": bcrypt_hash("x")[:-1],
    "PBKDF2 of 99 million rounds": django_pbkdf2("x").replace("$1000$", "$99999999$"),
    "PBKDF2 of no round": django_pbkdf2("x").replace("$1000$", "$0$"),
    "PBKDF2 with MD5": django_pbkdf2("x").replace("sha256", "md5"),
    "PBKDF2 without a hash": "pbkdf2_sha256$1000$grain$",
    "PBKDF2 with bad base64": "pbkdf2_sha256$1000$grain$A",
    "PBKDF2 with a hash of 15 bytes": "pbkdf2_sha256$1000$grain$" + "A" * 20,
    "Werkzeug PBKDF2 with a hash of 15 bytes": "pbkdf2:sha256:1000$grain$" + "ab" * 15,
    "PBKDF2 with a hash of 129 bytes": "pbkdf2_sha256$1000$grain$" + "A" * 172,
    "passlib PBKDF2 of 99 million rounds": passlib_pbkdf2("x").replace("$1000$", "$99999999$"),
    "scrypt of 16 GiB": django_scrypt("x").replace("$1024$", "$16777216$"),
    "scrypt with a hash of 15 bytes": "scrypt$grain$1024$8$1$" + "A" * 20,
    "scrypt of 99 threads": django_scrypt("x").replace("$8$1$", "$8$99$"),
    "scrypt whose cost is no power of two": django_scrypt("x").replace("$1024$", "$1000$"),
    "Werkzeug scrypt of 16 GiB": werkzeug_scrypt("x").replace(":1024:", ":16777216:"),
    "Werkzeug scrypt with an odd hash": werkzeug_scrypt("x")[:-1],
    "passlib scrypt of 2^31": passlib_scrypt("x").replace("ln=10", "ln=31"),
    "passlib scrypt of 2^99": passlib_scrypt("x").replace("ln=10", "ln=99"),
}

#: For each kind: the costliest hash that is imported, a costlier one, and its error message.
LIMITS = {
    "bcrypt": ("$04$", "$13$", "$14$", bcrypt_hash("x"), "bcrypt: the cost is at most 13"),
    "PBKDF2": ("$1000$", "$2000000$", "$2000001$", django_pbkdf2("x"), "PBKDF2: at most 2,000,000 iterations"),
    "scrypt": ("$1024$8$1$", "$131072$8$1$", "$131072$8$2$", django_scrypt("x"),
               "scrypt: N x r x p is at most 1,048,576"),
    "Argon2id": ("m=128,t=2", "m=262144,t=2", "m=262145,t=1", argon2("x"),
                 "Argon2id: at most 256 MiB, and MiB times passes at most 512"),
    "Argon2id by its passes": ("m=128,t=2", "m=65536,t=8", "m=65536,t=9", argon2("x"),
                               "Argon2id: at most 256 MiB, and MiB times passes at most 512"),
}  # fmt: skip
