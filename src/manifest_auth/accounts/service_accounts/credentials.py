"""Credentials of service accounts: API keys, client secrets, and public keys, with the assertions that they verify."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple, NoReturn

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import BigInteger, bindparam, func, insert, select, update

from manifest_auth.errors import ValidationError, existing
from manifest_auth.store import TenantUnit, among, numbers, tenant_scoped, upsert
from manifest_auth.store.tables import service_secrets, used_assertions
from manifest_auth.text import base64url
from manifest_auth.text.canonical import when
from manifest_auth.text.machine_secrets import SecretKind
from manifest_auth.text.models import Time, Wire, one_of_texts

#: The maximum number of live secrets per account.
MOST_OF: Final = {SecretKind.API_KEY: 10, SecretKind.CLIENT_SECRET: 2}


#: Emails are sent this many days before a secret expires.
NOTICE_DAYS: Final = (14, 3)
#: The value of ``notices`` after the expiry was recorded.
ENDED: Final = len(NOTICE_DAYS) + 1
_DAY_MS = 86_400_000


class Secret(NamedTuple):
    """A secret. ``kind`` is a :class:`SecretKind`, ``days`` is its lifetime, ``rotated_to`` is the ID of its
    replacement, and ``notices`` is the number of emails about its expiry. Times are in milliseconds."""

    id: str
    user_id: int
    kind: str
    label: str
    hint: str
    days: int
    created_at: int
    created_by: str
    ends_at: int
    notices: int
    ended_at: int | None = None
    rotated_to: str | None = None
    last_used_at: int | None = None
    last_address: str = ""

    @property
    def session_id(self) -> str:
        """The cache key of callers with this secret (``sessions/principals.py``)."""
        return f"key:{self.id}"


class LiveSecretData(Wire, frozen=True):
    """A live API key or client secret, without the secret. ``hint``: its last four characters; ``rotatedTo``: the ID of
    its replacement."""

    id: str
    label: str
    hint: str
    created_at: Time
    created_by: str
    expires_at: Time
    last_used_at: Time | None
    last_address: str
    rotated_to: str | None

    @classmethod
    def of_row(cls, secret: Secret) -> LiveSecretData:
        return cls.of(secret, expires_at=when(secret.ends_at))


_S = service_secrets.c
ALL = select(*(_S[name] for name in Secret._fields))
_LIVES = (_S.ended_at.is_(None), _S.ends_at > bindparam("now", type_=BigInteger()))
_OF = (_S.user_id == bindparam("of_user"), _S.kind == bindparam("of_kind"))
_OF_MANY = tenant_scoped(
    ALL.where(among(_S.user_id, "ids"), *_LIVES).order_by(_S.user_id, _S.created_at, _S.id), Secret
)
_COUNT = tenant_scoped(select(func.count()).select_from(service_secrets).where(*_OF, *_LIVES), int)
_GET = tenant_scoped(ALL.where(*_OF, *_LIVES, _S.id == bindparam("of_id")), Secret)
_FIND = tenant_scoped(ALL.where(_S.id == bindparam("of_id")).with_for_update(), Secret)
_NEW = ("id", "user_id", "kind", "label", "hash", "hint", "days", "created_at", "created_by", "ends_at", "notices")
_ADD = tenant_scoped(insert(service_secrets).values({name: bindparam(name) for name in _NEW}))
_END = tenant_scoped(
    update(service_secrets)
    .where(_S.id == bindparam("of_id"), _S.ended_at.is_(None))
    .values(ended_at=bindparam("new_ended_at"), ends_at=bindparam("new_ends_at"))
)
_END_ALL = tenant_scoped(
    update(service_secrets)
    .where(_S.user_id == bindparam("of_user"), *_LIVES)
    .values(ended_at=bindparam("new_ended_at"), ends_at=bindparam("new_ended_at"))
)
_ROTATE = tenant_scoped(  # it has a replacement, so no email announces its expiry
    update(service_secrets)
    .where(_S.id == bindparam("of_id"))
    .values(ends_at=bindparam("new_ends_at"), rotated_to=bindparam("new_id"), notices=len(NOTICE_DAYS))
)
_NOTICED = tenant_scoped(
    update(service_secrets)
    .where(_S.id == bindparam("of_id"), _S.ended_at.is_(None), _S.notices == bindparam("before"))
    .values(notices=bindparam("after"))
)


def live_secrets(unit: TenantUnit, account_ids: Sequence[int], now: int) -> list[Secret]:
    """The live secrets of these accounts, of both kinds, oldest first."""
    return unit.all(_OF_MANY, ids=numbers(account_ids), now=now)


def count(unit: TenantUnit, account_id: int, kind: SecretKind, now: int) -> int:
    """The number of valid secrets."""
    return unit.one(_COUNT, of_user=account_id, of_kind=kind.value, now=now)


def get(unit: TenantUnit, account_id: int, kind: SecretKind, secret_id: str, now: int) -> Secret:
    """Returns a live secret of an account. Raises NotFound."""
    return existing(unit.first(_GET, of_user=account_id, of_kind=kind.value, of_id=secret_id, now=now))


def find(unit: TenantUnit, secret_id: str) -> Secret | None:
    """Returns a secret of the client, live or not, locked."""
    return unit.first(_FIND, of_id=secret_id)


def add(unit: TenantUnit, **values: Any) -> None:
    unit.change(_ADD, **values)


def end(unit: TenantUnit, secret: Secret, now: int) -> bool:
    """Ends a secret immediately on every node. Returns False if it had already ended."""
    unit.announce("session", secret.session_id)
    return unit.change(_END, of_id=secret.id, new_ended_at=now, new_ends_at=min(secret.ends_at, now)) == 1


def end_all(unit: TenantUnit, account_id: int, now: int) -> int:
    """Ends all secrets of an account. Returns how many there were. The caller must announce the account's change."""
    return unit.change(_END_ALL, of_user=account_id, new_ended_at=now, now=now)


def notices_at(ends_at: int, now: int) -> int:
    """The number of emails due by ``now`` for a secret that ends at this time."""
    return sum(ends_at - now <= days * _DAY_MS for days in NOTICE_DAYS)


def noticed(unit: TenantUnit, secret: Secret, now: int) -> bool:
    """Marks the emails that are due as sent, and the expiry as recorded if it has passed. Returns False if that was
    already done."""
    after = ENDED if secret.ends_at <= now else notices_at(secret.ends_at, now)
    if after <= secret.notices:
        return False
    return unit.change(_NOTICED, of_id=secret.id, before=secret.notices, after=after) == 1


def rotated(unit: TenantUnit, secret: Secret, new_id: str, ends_at: int) -> None:
    """Stores that another secret replaces this one, and when this one ends."""
    unit.announce("session", secret.session_id)
    unit.change(_ROTATE, of_id=secret.id, new_id=new_id, new_ends_at=ends_at)


# ES256, PS256, and RS256 (RFC 7518), each with a ``kid``. A URL to fetch keys from is not accepted, because this server
# would have to call it.

MOST: Final = 5
_MIN_BITS, _MAX_BITS = 2048, 8192
_MEMBERS = {"EC": ("crv", "x", "y"), "RSA": ("n", "e")}
_ALGORITHMS = {"EC": ("ES256",), "RSA": ("PS256", "RS256")}
_MAX_KID = 200
_Text = Annotated[str, Meta(max_length=2000)]


class Jwk(msgspec.Struct, frozen=True):
    """A public key (RFC 7517) for ES256, PS256, or RS256."""

    kty: Annotated[str, Meta(description="`EC` or `RSA`.", extra_json_schema=one_of_texts("EC", "RSA"))]
    kid: Annotated[str, Meta(min_length=1, max_length=200, description="Assertions use it to name the key.")]
    alg: Annotated[_Text, Meta(extra_json_schema=one_of_texts("ES256", "PS256", "RS256"))] | UnsetType = UNSET
    use: Annotated[_Text, Meta(extra_json_schema=one_of_texts("sig"))] | UnsetType = UNSET
    crv: _Text | UnsetType = UNSET
    x: _Text | UnsetType = UNSET
    y: _Text | UnsetType = UNSET
    n: _Text | UnsetType = UNSET
    e: _Text | UnsetType = UNSET


class Jwks(msgspec.Struct, frozen=True):
    """A set of at most 5 keys."""

    keys: Annotated[list[Jwk], Meta(min_length=1, max_length=5)]


def checked_key_set(jwks: Mapping[str, Any] | None) -> str | None:
    """Returns the key set in its stored form, with only the members that verify signatures. Raises ValidationError for
    anything other than 1 to :data:`MOST` public keys of the three algorithms, each with its own ``kid``."""
    if jwks is None:
        return None
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST:
        _refuse(f"Must be a key set with 1 to {MOST} keys")
    checked = [_checked(key) for key in keys]
    if len({key["kid"] for key in checked}) < len(checked):
        _refuse("Each key must have its own `kid`")
    return msgspec.json.encode({"keys": checked}).decode()


def key_set_in(text: str) -> Mapping[str, Any] | None:
    """Parses the key set in a JSON text, unchecked; None if it is blank. Raises ValidationError if it isn't a JSON
    object."""
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        _refuse("Must be a JSON Web Key Set")


def key_ids(jwks: str | None) -> list[str]:
    """The ``kid`` of each key of a stored set."""
    return [] if jwks is None else [key["kid"] for key in msgspec.json.decode(jwks)["keys"]]


def _checked(key: Any) -> dict[str, str]:
    if not isinstance(key, dict):
        _refuse("Each key must be an object")
    kind, kid, algorithm = key.get("kty"), key.get("kid"), key.get("alg")
    if "d" in key or "k" in key:
        _refuse("Enter only the public key. This key is private")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        _refuse("Keys must be EC (P-256) or RSA")
    if not isinstance(kid, str) or not 1 <= len(kid) <= _MAX_KID or not kid.isprintable():
        _refuse("Each key must have a `kid`")
    if key.get("use", "sig") != "sig" or (algorithm is not None and algorithm not in _ALGORITHMS[kind]):
        _refuse("Keys must be for signatures with ES256, PS256, or RS256")
    numbers = {name: key.get(name) for name in _MEMBERS[kind]}
    if not all(isinstance(value, str) for value in numbers.values()):
        _refuse(f"A member is missing: {', '.join(_MEMBERS[kind])}")
    try:
        _check_numbers(kind, numbers)
    except ValueError:
        _refuse("A key is invalid. EC keys must be on P-256, and RSA keys must have 2048 to 8192 bits")
    return {"kty": kind, "kid": kid, **({} if algorithm is None else {"alg": algorithm}), **numbers}


def _check_numbers(kind: str, numbers: dict[str, Any]) -> None:
    """Checks the numbers of a public key. Raises ValueError."""
    # Imported here because most installations have no service account with its own key.
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind == "EC":
        if numbers["crv"] != "P-256":
            raise ValueError
        ec.EllipticCurvePublicNumbers(_number(numbers["x"]), _number(numbers["y"]), ec.SECP256R1()).public_key()
    else:
        modulus = _number(numbers["n"])
        if not _MIN_BITS <= modulus.bit_length() <= _MAX_BITS:
            raise ValueError
        rsa.RSAPublicNumbers(_number(numbers["e"]), modulus).public_key()


def _number(text: str) -> int:
    return int.from_bytes(base64url.decode(text), "big")


def _refuse(sentence: str) -> NoReturn:
    raise ValidationError(details=[("jwks", sentence)])


_ADD_ASSERTION = tenant_scoped(
    upsert(used_assertions)
    .values(key=bindparam("key"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
)


def use_assertion(unit: TenantUnit, client_id: str, jti: str, expires_at: int) -> bool:
    """Marks an assertion as used until it expires (milliseconds). Returns False if it was used before."""
    owner = client_id.removeprefix("svc_")  # for compatibility with the previous release
    key = hashlib.sha256(f"{owner}:{jti}".encode("utf-8", "surrogatepass")).hexdigest()
    return unit.change(_ADD_ASSERTION, key=key, expires_at=expires_at) == 1
