"""One-time codes of users: the authenticator app (TOTP) with its sealed secret, and ten recovery codes.

A code works once: codes of its time step or an earlier one are rejected (RFC 6238, section 5.2).
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from sqlalchemy import Column, bindparam, delete, func, insert, or_, select, update

from manifest_auth.errors import Conflict, Replay
from manifest_auth.protocols import totp as protocol
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import recovery_codes, sealed_for, user_totps
from manifest_auth.text.languages import marked as _

_F = user_totps.c


class Totp(NamedTuple):
    """An authenticator app. ``secret`` is None until a first code confirms it. ``next_secret`` is waiting for its first
    code, in the session ``next_session_id``. ``created_at`` is when the active secret was created. ``last_used_at`` is
    None until a sign-in."""

    user_id: int
    secret: bytes | None
    next_secret: bytes | None
    next_session_id: str | None
    created_at: int
    last_step: int
    last_used_at: int | None


class CodeCheck(NamedTuple):
    """The result of checking a code. ``replay`` means that the code was correct, but used before."""

    is_right: bool
    replay: Replay | None = None


_SELECT = select(*(_F[name] for name in Totp._fields)).where(_F.user_id == bindparam("of_user"))
_FIND = tenant_scoped(_SELECT, Totp)
_NEW = ("user_id", "secret", "next_secret", "next_session_id", "created_at", "last_step")
_ADD = tenant_scoped(insert(user_totps).values({name: bindparam(name) for name in _NEW}))
_BEGIN = tenant_scoped(
    update(user_totps)
    .where(_F.user_id == bindparam("of_user"))
    .values(next_secret=bindparam("new"), next_session_id=bindparam("session"))
)
_CONFIRM = tenant_scoped(
    update(user_totps)
    .where(_F.user_id == bindparam("of_user"), _F.next_secret == bindparam("before"))
    .values(
        secret=bindparam("new"),
        next_secret=None,
        created_at=bindparam("now"),
        last_step=bindparam("step"),
        last_used_at=None,
    )
)
_USE = tenant_scoped(
    update(user_totps)
    .where(_F.user_id == bindparam("of_user"), _F.secret.is_not(None), _F.last_step < bindparam("step"))
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
)
_DROP = tenant_scoped(delete(user_totps).where(_F.user_id == bindparam("of_user")))
_DROP_NEW = tenant_scoped(
    delete(user_totps).where(
        _F.user_id == bindparam("of_user"), or_(_F.secret.is_(None), _F.created_at >= bindparam("since"))
    )
)


def find_totp(unit: TenantUnit, user_id: int) -> Totp | None:
    """Returns the active app. None if no app has been confirmed by a code."""
    found = unit.first(_FIND, of_user=user_id)
    return found if found is not None and found.secret is not None else None


def begin_totp(unit: TenantUnit, sealer: Sealer, user_id: int, session_id: str, secret: str, now: int) -> None:
    """Stores a new secret, in base32. Its first correct code in that session activates it; the current app works until
    then. Replaces a pending secret."""
    sealed = _sealed(unit, sealer, _F.next_secret, user_id, secret)
    if not unit.change(_BEGIN, of_user=user_id, new=sealed, session=session_id):
        values = {"secret": None, "next_secret": sealed, "next_session_id": session_id}
        unit.change(_ADD, user_id=user_id, **values, created_at=now, last_step=0)


def waiting_totp(unit: TenantUnit, sealer: Sealer, user_id: int, session_id: str) -> str:
    """Returns the pending secret, in base32, that this session created. Empty if there is none, or no key decrypts
    it."""
    found = unit.first(_FIND, of_user=user_id)
    if found is None or found.next_secret is None or found.next_session_id != session_id:
        return ""
    return _opened(unit, sealer, _F.next_secret, user_id, found.next_secret)


def confirm_totp(unit: TenantUnit, sealer: Sealer, user_id: int, session_id: str, code: str, now: int) -> bool:
    """Whether this is the first correct code of a secret that the session created. If so, the secret becomes active and
    replaces the previous one. The user must be locked. Raises Conflict if no secret is pending."""
    found = unit.first(_FIND, of_user=user_id)
    if found is None or found.next_secret is None or found.next_session_id != session_id:
        raise Conflict(_("No authenticator app setup is in progress"))
    secret = _opened(unit, sealer, _F.next_secret, user_id, found.next_secret)
    step = protocol.step_of(secret, code, now) if secret else 0
    if not step:
        return False
    sealed = _sealed(unit, sealer, _F.secret, user_id, secret)
    return unit.change(_CONFIRM, of_user=user_id, before=found.next_secret, new=sealed, step=step, now=now) == 1


def add_totp(unit: TenantUnit, sealer: Sealer, user_id: int, secret: str, code: str, now: int) -> bool:
    """Stores a secret together with its first code. If the code is incorrect, stores nothing and returns False."""
    step = protocol.step_of(secret, code, now)
    if step:
        drop_totp(unit, user_id)
        sealed = _sealed(unit, sealer, _F.secret, user_id, secret)
        unit.change(
            _ADD, user_id=user_id, secret=sealed, next_secret=None, next_session_id=None, created_at=now, last_step=step
        )
    return bool(step)


def use_totp(unit: TenantUnit, sealer: Sealer, user_id: int, code: str, now: int) -> CodeCheck:
    """Checks a code and marks its time step as used. If a code is used concurrently, only one use succeeds."""
    found = find_totp(unit, user_id)
    if found is None or found.secret is None:
        return CodeCheck(False)
    secret = _opened(unit, sealer, _F.secret, user_id, found.secret)
    step = protocol.step_of(secret, code, now) if secret else 0
    if not step:
        return CodeCheck(False)
    used = unit.change(_USE, of_user=user_id, step=step, now=now) == 1
    return CodeCheck(used, None if used else "totp")


def drop_totp(unit: TenantUnit, user_id: int) -> bool:
    """Removes the app, confirmed or not. Returns False if there was none."""
    return unit.change(_DROP, of_user=user_id) == 1


def drop_totp_since(unit: TenantUnit, user_id: int, since: int) -> bool:
    """Removes a pending secret, and the app if it became active ``since`` this time (milliseconds). Returns False if no
    active app was removed."""
    before = find_totp(unit, user_id)
    unit.change(_BEGIN, of_user=user_id, new=None, session=None)
    unit.change(_DROP_NEW, of_user=user_id, since=since)
    return before is not None and find_totp(unit, user_id) is None


def _sealed(unit: TenantUnit, sealer: Sealer, column: Column[Any], user_id: int, secret: str) -> bytes:
    return sealer.seal(secret.encode(), sealed_for(column, tenant_id=unit.tenant_id, user_id=user_id))


def _opened(unit: TenantUnit, sealer: Sealer, column: Column[Any], user_id: int, sealed: bytes) -> str:
    """Returns the secret. Empty if no key decrypts it: then no code can match, but recovery codes and a reset by others
    still work."""
    try:
        return sealer.open(sealed, sealed_for(column, tenant_id=unit.tenant_id, user_id=user_id)).decode()
    except CannotOpen:
        return ""


# A code has 120 random bits, more than the 112 bits above which NIST SP 800-63B-4 (section 3.1.2.2) requires no slow
# hash. A plain SHA-256 protects it without a key (docs/decisions/0041-second-factors.md).

_R = recovery_codes.c
_OWN = _R.user_id == bindparam("of_user")
_ADD_CODE = tenant_scoped(
    insert(recovery_codes).values({name: bindparam(name) for name in ("user_id", "key", "created_at")})
)
_USE_CODE = tenant_scoped(
    update(recovery_codes)
    .where(_OWN, _R.key == bindparam("of_key"), _R.used_at.is_(None))
    .values(used_at=bindparam("now"))
)
_FIND_CODE = tenant_scoped(select(_R.key).where(_OWN, _R.key == bindparam("of_key")), str)
_LEFT = tenant_scoped(select(func.count()).select_from(recovery_codes).where(_OWN, _R.used_at.is_(None)), int)
_DROP_CODES = tenant_scoped(delete(recovery_codes).where(_OWN, _R.created_at >= bindparam("since")))


def make_codes(unit: TenantUnit, random: Random, user_id: int, now: int) -> tuple[str, ...]:
    """Creates ten codes, shown once, which void all previous ones."""
    drop_codes(unit, user_id)
    codes = protocol.new_codes(random)
    for code in codes:
        unit.change(_ADD_CODE, user_id=user_id, key=_key(unit, user_id, code), created_at=now)
    return codes


def use_code(unit: TenantUnit, user_id: int, code: str, now: int) -> CodeCheck:
    """Checks a code and marks it as used. If it is used concurrently, only one use succeeds."""
    key = _key(unit, user_id, code)
    if unit.change(_USE_CODE, of_user=user_id, of_key=key, now=now) == 1:
        return CodeCheck(True)
    return CodeCheck(False, "recovery_code" if unit.first(_FIND_CODE, of_user=user_id, of_key=key) else None)


def codes_left(unit: TenantUnit, user_id: int) -> int:
    """The number of unused codes."""
    return unit.one(_LEFT, of_user=user_id)


def drop_codes(unit: TenantUnit, user_id: int, *, since: int = 0) -> bool:
    """Voids all codes that were created ``since`` this time (milliseconds). Returns False if there were none."""
    return unit.change(_DROP_CODES, of_user=user_id, since=since) > 0


def _key(unit: TenantUnit, user_id: int, code: str) -> str:
    text = f"{unit.tenant_id}:{user_id}:{protocol.normal(code)}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
