"""Invitations: whoever holds one may claim the invited account with an identity of a provider, once."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from manifest_auth.store import TenantUnit, bound
from manifest_auth.store.tables import invitations

LIFE_MS = 7 * 86_400_000


class Invitation(NamedTuple):
    """``invited_by``: as the audit trail names who did (``user:5``, ``admin:1``)."""

    id: int
    user_id: int
    invited_by: str


class _Id(NamedTuple):
    id: int


_C = invitations.c
_OPEN = (_C.used_at.is_(None), _C.expires_at > bindparam("now"))
_ADD = bound(
    insert(invitations)
    .values({name: bindparam(name) for name in ("user_id", "key", "invited_by", "created_at", "expires_at")})
    .returning(_C.id),
    _Id,
)
_CLOSE = bound(
    update(invitations).where(_C.user_id == bindparam("of_user"), *_OPEN).values(expires_at=bindparam("now"))
)
_ALL = select(*(_C[name] for name in Invitation._fields))
_FIND = bound(_ALL.where(_C.key == bindparam("key"), *_OPEN), Invitation)
_BY_ID = bound(_ALL.where(_C.id == bindparam("id"), *_OPEN), Invitation)
_USE = bound(update(invitations).where(_C.id == bindparam("id"), *_OPEN).values(used_at=bindparam("now")))


def _key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def invite(unit: TenantUnit, user_id: int, token: str, invited_by: str, now: int) -> int:
    """Opens an invitation under a random token, of which only the hash is kept; earlier ones of the user close. When it
    expires, in milliseconds."""
    unit.change(_CLOSE, of_user=user_id, now=now)
    expires_at = now + LIFE_MS
    unit.first(
        _ADD, user_id=user_id, key=_key(token), invited_by=invited_by, created_at=now, expires_at=expires_at
    )  # fmt: skip
    return expires_at


def find_open(unit: TenantUnit, token: str, now: int) -> Invitation | None:
    return unit.first(_FIND, key=_key(token), now=now)


def find_open_by_id(unit: TenantUnit, invitation_id: int, now: int) -> Invitation | None:
    return unit.first(_BY_ID, id=invitation_id, now=now)


def use(unit: TenantUnit, invitation: Invitation, now: int) -> bool:
    """Uses an invitation up. False when somebody else did."""
    return unit.change(_USE, id=invitation.id, now=now) == 1
