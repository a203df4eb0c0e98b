"""Rows of pairings: a person shows a code, which one device claims.

A pairing lives ten minutes, its code a minute. What happens to the device is the state of its grant.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import pairings

LIFE_MS, CODE_MS = 10 * 60_000, 60_000
_C = pairings.c


class Pairing(NamedTuple):
    """``session_id``: of the person who began it; ``code``, ``typed``: as they are stored; ``grant_key``: of the device
    that claimed it; times in milliseconds."""

    id: str
    user_id: int
    session_id: str
    code: str
    typed: str
    grant_key: str | None
    created_at: int
    code_ends_at: int
    expires_at: int


_ALL = select(*(_C[name] for name in Pairing._fields))
_ADD = tenant_scoped(insert(pairings).values({name: bindparam(name) for name in Pairing._fields}))
_OWN = tenant_scoped(_ALL.where(_C.id == bindparam("id"), _C.session_id == bindparam("of_session")), Pairing)
_OPEN = tenant_scoped(
    _ALL.where(_C.user_id == bindparam("of_user"), _C.expires_at > bindparam("now")).order_by(_C.created_at, _C.id),
    Pairing,
)
_FREE = (_C.grant_key.is_(None), _C.code_ends_at > bindparam("now"), _C.expires_at > bindparam("now"))
_BY_CODE = tenant_scoped(_ALL.where(_C.code == bindparam("code"), *_FREE), Pairing)
_BY_TYPED = tenant_scoped(_ALL.where(_C.typed == bindparam("typed"), *_FREE), Pairing)
_CLAIM = tenant_scoped(
    update(pairings).where(_C.id == bindparam("of_id"), *_FREE).values(grant_key=bindparam("of_grant"))
)
_RENEW = tenant_scoped(
    update(pairings)
    .where(_C.id == bindparam("of_id"), _C.grant_key.is_(None), _C.expires_at > bindparam("now"))
    .values(code=bindparam("new_code"), typed=bindparam("new_typed"), code_ends_at=bindparam("until"))
)
_CLOSE = tenant_scoped(
    update(pairings)
    .where(_C.id == bindparam("of_id"), _C.expires_at > bindparam("now"))
    .values(expires_at=bindparam("now"))
)


def add(unit: TenantUnit, pairing: Pairing) -> None:
    """Adds a pairing."""
    unit.change(_ADD, **pairing._asdict())


def find_own(unit: TenantUnit, pairing_id: str, session_id: str) -> Pairing | None:
    """The pairing that a session began, over or not."""
    return unit.first(_OWN, id=pairing_id, of_session=session_id)


def list_open(unit: TenantUnit, user_id: int, now: int) -> list[Pairing]:
    """The pairings of a user that are not over, the oldest first."""
    return unit.all(_OPEN, of_user=user_id, now=now)


def claim(unit: TenantUnit, code: str, marks: list[str], grant_key: str, now: int) -> Pairing | None:
    """Claims a pairing by its code for a grant. ``code``: hash of what was scanned; ``marks``: how what was typed may
    be stored. None where there is none, and for all but one of several at once."""
    typed = (unit.first(_BY_TYPED, typed=mark, now=now) for mark in marks)
    pairing = unit.first(_BY_CODE, code=code, now=now) or next((one for one in typed if one is not None), None)
    if pairing is None or unit.change(_CLAIM, of_id=pairing.id, of_grant=grant_key, now=now) != 1:
        return None
    return pairing


def renew(unit: TenantUnit, pairing: Pairing, code: str, typed: str, until: int, now: int) -> bool:
    """Gives a pairing that no device has claimed another code. False where one has, or it is over."""
    return unit.change(_RENEW, of_id=pairing.id, new_code=code, new_typed=typed, until=until, now=now) == 1


def close(unit: TenantUnit, pairing_id: str, now: int) -> bool:
    """Ends a pairing. False where it was over."""
    return unit.change(_CLOSE, of_id=pairing_id, now=now) == 1
