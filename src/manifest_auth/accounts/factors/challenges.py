"""Sign-ins that are waiting for a second factor: the completed step, and how to continue after a correct response.

A challenge has 256 random bits, of which only a hash is stored. It grants nothing on its own. It is used in the unit of
work that opens the session. It ends after five attempts, when it expires, with a new password, or with anything else
that would end the resulting session (:mod:`manifest_auth.sessions.sessions`).
"""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import bindparam, insert, select, update

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import sealed_for, sign_in_challenges

Purpose = Literal["session", "code", "link"]
ANSWER_S, ENROL_S = 600, 1800
ENROL_MOST_S = 3600  # regardless of how often the enrollment restarts
MOST_TRIES = 5


class Pending(msgspec.Struct, frozen=True):
    """The continuation after a correct code. ``session`` opens a session, ``code`` gives an app a one-time code for its
    PKCE ``code_challenge``, and ``link`` uses a one-time link and sets ``password_hash``. The browser ends at
    ``return_to``. ``totp`` and ``passkey`` are the secret and challenge of a factor that is being enrolled or verified.
    ``latest_end`` is the latest end of the challenge, in milliseconds."""

    purpose: Purpose = "session"
    return_to: str = ""
    response: str = ""
    code_challenge: str = ""
    password_hash: str = ""
    totp: str = ""
    passkey: str = ""
    latest_end: int = 0

    def with_totp(self, secret: str) -> Pending:
        return msgspec.structs.replace(self, totp=secret)

    def with_passkey(self, challenge: str) -> Pending:
        return msgspec.structs.replace(self, passkey=challenge)


OPENS_SESSION = Pending()


class Challenge(NamedTuple):
    """A challenge. ``amr`` contains the methods completed so far, separated by spaces. For ``proof``, see
    :func:`hash_of`. ``enrols`` means that a factor must be enrolled."""

    key: str
    tenant_id: int
    user_id: int
    purpose: str
    method: str
    amr: str
    authenticated_at: int | None
    proof: str
    provider_id: int | None
    link_id: int | None
    enrols: int
    secrets: bytes
    tries: int
    expires_at: int
    used_at: int | None


class Asked(NamedTuple):
    """The user who must present a factor, and the completed first step. ``password_hash`` is the user's current one."""

    user_id: int
    password_hash: str | None
    method: str
    amr: str
    authenticated_at: int | None
    provider_id: int | None
    link_id: int | None
    enrols: bool


_C = sign_in_challenges.c
_ALL = select(*(_C[name] for name in Challenge._fields))
_FIND = cross_tenant(
    _ALL.where(_C.key == bindparam("of_key")),
    Challenge,
    because="the challenge of a sign-in in progress names its tenant; it has 256 random bits",
)
_NEW = tuple(name for name in Challenge._fields if name not in ("tenant_id", "used_at"))
_ADD = tenant_scoped(insert(sign_in_challenges).values({name: bindparam(name) for name in _NEW}))
_OPEN = (_C.key == bindparam("of_key"), _C.used_at.is_(None))
_TRY = tenant_scoped(
    update(sign_in_challenges).where(*_OPEN, _C.tries < MOST_TRIES).values(tries=_C.tries + 1).returning(_C.tries), int
)
_USE = tenant_scoped(update(sign_in_challenges).where(*_OPEN).values(used_at=bindparam("now")))
_KEEP = tenant_scoped(
    update(sign_in_challenges).where(*_OPEN).values(secrets=bindparam("new"), expires_at=bindparam("until"))
)
_REHASHED = tenant_scoped(
    update(sign_in_challenges)
    .where(_C.user_id == bindparam("of_user"), _C.proof == bindparam("before"), _C.used_at.is_(None))
    .values(proof=bindparam("after"))
)


def add(unit: TenantUnit, random: Random, sealer: Sealer, asked: Asked, pending: Pending, now: int) -> str:
    """Creates a challenge. Returns its text, of which only a hash is stored."""
    text = random.text(32)
    key, life_s = key_of(text), ENROL_S if asked.enrols else ANSWER_S
    most_s = ENROL_MOST_S if asked.enrols else ANSWER_S
    pending = msgspec.structs.replace(pending, latest_end=now + most_s * 1000)
    unit.change(
        _ADD,
        key=key,
        user_id=asked.user_id,
        purpose=pending.purpose,
        method=asked.method,
        amr=asked.amr,
        authenticated_at=asked.authenticated_at,
        proof=hash_of(asked.password_hash),
        provider_id=asked.provider_id,
        link_id=asked.link_id,
        enrols=int(asked.enrols),
        secrets=_sealed(sealer, key, pending),
        tries=0,
        expires_at=now + life_s * 1000,
    )
    return text


def find(unit: SystemUnit, text: str) -> Challenge | None:
    """Returns the challenge, even if it is used or expired. None if it doesn't exist."""
    return unit.first(_FIND, of_key=key_of(text))


def count_try(unit: TenantUnit, challenge: Challenge) -> int:
    """Counts a response before checking it. Returns its number, or 0 if the limit is reached."""
    return unit.first(_TRY, of_key=challenge.key) or 0


def use(unit: TenantUnit, challenge: Challenge, now: int) -> bool:
    """Marks the challenge as used. If called concurrently, only one call returns True."""
    return unit.change(_USE, of_key=challenge.key, now=now) == 1


def pending_of(sealer: Sealer, challenge: Challenge) -> Pending:
    """Returns the continuation after a correct code. Raises CannotOpen."""
    return msgspec.json.decode(sealer.open(challenge.secrets, _row(challenge.key)), type=Pending)


def keep(unit: TenantUnit, sealer: Sealer, challenge: Challenge, pending: Pending, now: int) -> None:
    """Stores the secret of a factor that is being enrolled or verified. An enrollment restarts its lifetime, up to
    :data:`ENROL_MOST_S` in total."""
    until = max(challenge.expires_at, min(now + ENROL_S * 1000, pending.latest_end))
    unit.change(_KEEP, of_key=challenge.key, new=_sealed(sealer, challenge.key, pending), until=until)


def rehashed(unit: TenantUnit, user_id: int, before: str, after: str) -> None:
    """Keeps the user's open challenges valid when the same password gets a new hash."""
    unit.change(_REHASHED, of_user=user_id, before=hash_of(before), after=hash_of(after))


def hash_of(password_hash: str | None) -> str:
    """Hashes the user's password hash, so that a new password ends a challenge."""
    return hashlib.sha256(password_hash.encode()).hexdigest() if password_hash else ""


def key_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _sealed(sealer: Sealer, key: str, pending: Pending) -> bytes:
    return sealer.seal(msgspec.json.encode(pending), _row(key))


def _row(key: str) -> str:
    return sealed_for(_C.secrets, key=key)
