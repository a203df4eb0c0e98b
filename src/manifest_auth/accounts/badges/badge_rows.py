"""Rows of badges: added, found by their code, listed, ended.

The store has a code's hash, never the code.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import BigInteger, bindparam, insert, select, update

from manifest_auth.runtime.settings import DAY, HOUR
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import badges

BadgeKind = Literal["standard", "temporary"]
LIFE_S: Final[dict[BadgeKind, int]] = {"standard": 365 * DAY, "temporary": 12 * HOUR}


class Badge(NamedTuple):
    """``issued_by``: the actor, as in the audit trail. Times in milliseconds."""

    id: str
    user_id: int
    kind: BadgeKind
    issued_at: int
    issued_by: str
    ends_at: int
    ended_at: int | None
    last_used_at: int | None


_B = badges.c
_ALL = select(*(_B[name] for name in Badge._fields))
_ALIVE = (_B.ended_at.is_(None), _B.ends_at > bindparam("now", type_=BigInteger))
_OF_USER = (_B.user_id == bindparam("of_user"), *_ALIVE)
_BY_CODE = tenant_scoped(_ALL.where(_B.code == bindparam("code"), *_ALIVE), Badge)
_LIVES = tenant_scoped(select(_B.id).where(_B.id == bindparam("of_id"), *_ALIVE).with_for_update(), str)
_LIST = tenant_scoped(_ALL.where(*_OF_USER).order_by(_B.issued_at, _B.id), Badge)
_NEW = ("id", "user_id", "kind", "code", "issued_at", "issued_by", "ends_at")
_ADD = tenant_scoped(insert(badges).values({name: bindparam(name) for name in _NEW}))
_ENDED: dict[str, Any] = {"ended_at": bindparam("at"), "ends_at": bindparam("at")}
_END = tenant_scoped(update(badges).where(_B.id == bindparam("of_id"), *_OF_USER).values(_ENDED))
_END_KIND = tenant_scoped(update(badges).where(_B.kind == bindparam("of_kind"), *_OF_USER).values(_ENDED))
_END_ALL = tenant_scoped(update(badges).where(*_OF_USER, _B.issued_at >= bindparam("since")).values(_ENDED))
_USED = tenant_scoped(update(badges).where(_B.id == bindparam("of_id")).values(last_used_at=bindparam("now")))


def find(unit: TenantUnit, code_hash: str, now: int) -> Badge | None:
    """The live badge with this code."""
    return unit.first(_BY_CODE, code=code_hash, now=now)


def is_live(unit: TenantUnit, badge_id: str, now: int) -> bool:
    """Whether the badge has not ended; its row is locked until the transaction ends."""
    return unit.first(_LIVES, of_id=badge_id, now=now) is not None


def list_live(unit: TenantUnit, user_id: int, now: int) -> list[Badge]:
    """A user's live badges, oldest first."""
    return unit.all(_LIST, of_user=user_id, now=now)


def add(unit: TenantUnit, badge: Badge, code_hash: str) -> None:
    """Stores a new badge; the live one of its kind ends."""
    unit.change(_END_KIND, of_user=badge.user_id, of_kind=badge.kind, now=badge.issued_at, at=badge.issued_at)
    unit.change(_ADD, code=code_hash, **{name: getattr(badge, name) for name in _NEW if name != "code"})


def end(unit: TenantUnit, user_id: int, badge_id: str, now: int) -> bool:
    """Ends a live badge of the user. False when there is no such one."""
    return unit.change(_END, of_user=user_id, of_id=badge_id, now=now, at=now) == 1


def end_all(unit: TenantUnit, user_id: int, now: int, *, since: int = 0) -> int:
    """Ends the user's live badges that were issued ``since`` a time (milliseconds); how many there were."""
    return unit.change(_END_ALL, of_user=user_id, now=now, at=now, since=since)


def used(unit: TenantUnit, badge_id: str, now: int) -> None:
    """Stores that the badge was used."""
    unit.change_later(_USED, of_id=badge_id, now=now)
