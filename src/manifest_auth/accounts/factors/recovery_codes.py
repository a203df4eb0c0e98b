"""A user's recovery codes: ten, each of which works once in place of the second factor.

A code has 120 random bits, more than the 112 from which on NIST SP 800-63B-4 (section 3.1.2.2) asks for no slow hash: a
plain SHA-256 protects it, and no key has to be kept for it (docs/decisions/0041-second-factors.md).
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from manifest_auth.errors import Replay
from manifest_auth.protocols import totp
from manifest_auth.runtime.clock import Random
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import recovery_codes

_R = recovery_codes.c
_OWN = _R.user_id == bindparam("of_user")
_ADD = tenant_scoped(
    insert(recovery_codes).values({name: bindparam(name) for name in ("user_id", "key", "created_at")})
)
_USE = tenant_scoped(
    update(recovery_codes)
    .where(_OWN, _R.key == bindparam("of_key"), _R.used_at.is_(None))
    .values(used_at=bindparam("now"))
)
_FIND = tenant_scoped(select(_R.key).where(_OWN, _R.key == bindparam("of_key")), str)
_LEFT = tenant_scoped(select(func.count()).select_from(recovery_codes).where(_OWN, _R.used_at.is_(None)), int)
_DROP = tenant_scoped(delete(recovery_codes).where(_OWN, _R.created_at >= bindparam("since")))


class Check(NamedTuple):
    """``replay``: the code was right, and used before."""

    is_right: bool
    replay: Replay | None = None


def make(unit: TenantUnit, random: Random, user_id: int, now: int) -> tuple[str, ...]:
    """Ten new codes, to be shown once, which void all former ones."""
    drop(unit, user_id)
    codes = totp.new_codes(random)
    for code in codes:
        unit.change(_ADD, user_id=user_id, key=_key(unit, user_id, code), created_at=now)
    return codes


def use(unit: TenantUnit, user_id: int, code: str, now: int) -> Check:
    """Checks a code and marks it as used: of concurrent uses, one is right."""
    key = _key(unit, user_id, code)
    if unit.change(_USE, of_user=user_id, of_key=key, now=now) == 1:
        return Check(True)
    return Check(False, "recovery_code" if unit.first(_FIND, of_user=user_id, of_key=key) else None)


def left(unit: TenantUnit, user_id: int) -> int:
    """How many codes were not used yet."""
    return unit.one(_LEFT, of_user=user_id)


def drop(unit: TenantUnit, user_id: int, *, since: int = 0) -> bool:
    """Voids all codes that were made ``since`` a time (milliseconds). False when there were none."""
    return unit.change(_DROP, of_user=user_id, since=since) > 0


def _key(unit: TenantUnit, user_id: int, code: str) -> str:
    text = f"{unit.tenant_id}:{user_id}:{totp.normal(code)}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
