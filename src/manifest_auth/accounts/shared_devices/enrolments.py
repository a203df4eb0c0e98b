"""Codes that enrol one device each: to scan, or to type together with the client's identifier.

They work for ten minutes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, func, insert, select, update

from manifest_auth.runtime.settings import MINUTE
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import device_enrolments

LIFE_S: Final = 10 * MINUTE


class Enrolment(NamedTuple):
    """``created_by``: the actor, as in the audit trail. Times in milliseconds."""

    id: str
    name: str
    place: str
    created_at: int
    created_by: str
    expires_at: int


class NewEnrolment(NamedTuple):
    """``code``: to scan; ``letters``: to type. Neither is stored."""

    enrolment: Enrolment
    code: str
    letters: str


_E = device_enrolments.c
_ALL = select(*(_E[name] for name in Enrolment._fields))
_OPEN = (_E.used_at.is_(None), _E.expires_at > bindparam("now", type_=BigInteger))
_LIST = tenant_scoped(_ALL.where(*_OPEN).order_by(_E.created_at, _E.id), Enrolment)
_COUNT = tenant_scoped(select(func.count()).select_from(device_enrolments).where(*_OPEN), int)
_BY_CODE = tenant_scoped(_ALL.where(_E.code == bindparam("code"), *_OPEN), Enrolment)
_BY_LETTERS = tenant_scoped(_ALL.where(_E.typed == bindparam("typed"), *_OPEN), Enrolment)
_NEW = (*Enrolment._fields, "code", "typed")
_ADD = tenant_scoped(insert(device_enrolments).values({name: bindparam(name) for name in _NEW}))
_USE = tenant_scoped(
    update(device_enrolments).where(_E.id == bindparam("of_id"), *_OPEN).values(used_at=bindparam("at"))
)
_DROP = tenant_scoped(delete(device_enrolments).where(_E.id == bindparam("of_id"), *_OPEN))


def add(unit: TenantUnit, enrolment: Enrolment, code_hash: str, letters: str) -> None:
    """``letters``: as :func:`manifest_auth.text.scan_codes.random_letters` made them."""
    unit.change(_ADD, code=code_hash, typed=_mac(unit, letters), **enrolment._asdict())


def list_open(unit: TenantUnit, now: int) -> list[Enrolment]:
    """Those whose code still works, oldest first."""
    return unit.all(_LIST, now=now)


def count_open(unit: TenantUnit, now: int) -> int:
    return unit.one(_COUNT, now=now)


def find(unit: TenantUnit, now: int, *, code_hash: str = "", letters: str = "") -> Enrolment | None:
    """The one with this code, or with these letters, where it still works."""
    if code_hash:
        return unit.first(_BY_CODE, code=code_hash, now=now)
    return unit.first(_BY_LETTERS, typed=_mac(unit, letters), now=now)


def use(unit: TenantUnit, enrolment_id: str, now: int) -> bool:
    """Uses it up: of concurrent calls, one gets True."""
    return unit.change(_USE, of_id=enrolment_id, now=now, at=now) == 1


def drop(unit: TenantUnit, enrolment_id: str, now: int) -> bool:
    """Takes a code back. False when it worked no more."""
    return unit.change(_DROP, of_id=enrolment_id, now=now) == 1


def _mac(unit: TenantUnit, letters: str) -> str:
    """Ten letters have 43 bits: a plain hash of them could be reversed."""
    return unit.macs.make(f"enrolment\0{unit.tenant_id}\0{letters}".encode("utf-8", "surrogatepass"))
