"""A user's authenticator app: its sealed secret, and the time step that was used last.

A code works once: no code of its step or an earlier one is accepted again (RFC 6238, section 5.2).
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from manifest_auth.errors import Replay
from manifest_auth.protocols import totp
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import sealed_for, user_totps

_F = user_totps.c


class Totp(NamedTuple):
    """``confirmed_at``: None until a first code was right; ``last_used_at``: None until a sign-in."""

    user_id: int
    secret: bytes
    created_at: int
    confirmed_at: int | None
    last_step: int
    last_used_at: int | None


class Check(NamedTuple):
    """``replay``: the code was right, and used before."""

    is_right: bool
    replay: Replay | None = None


_SELECT = select(*(_F[name] for name in Totp._fields)).where(_F.user_id == bindparam("of_user"))
_FIND = tenant_scoped(_SELECT, Totp)
_ADD = tenant_scoped(
    insert(user_totps).values(
        {name: bindparam(name) for name in ("user_id", "secret", "created_at", "confirmed_at", "last_step")}
    )
)
_CONFIRM = tenant_scoped(
    update(user_totps)
    .where(_F.user_id == bindparam("of_user"), _F.confirmed_at.is_(None))
    .values(confirmed_at=bindparam("now"), last_step=bindparam("step"))
)
_USE = tenant_scoped(
    update(user_totps)
    .where(_F.user_id == bindparam("of_user"), _F.confirmed_at.is_not(None), _F.last_step < bindparam("step"))
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
)
_DROP = tenant_scoped(delete(user_totps).where(_F.user_id == bindparam("of_user")))


def find(unit: TenantUnit, user_id: int) -> Totp | None:
    """The app that counts; None where there is none, or none that is confirmed."""
    found = unit.first(_FIND, of_user=user_id)
    return found if found is not None and found.confirmed_at is not None else None


def begin(unit: TenantUnit, sealer: Sealer, user_id: int, secret: str, now: int) -> None:
    """Stores a new secret, which counts from its first right code on, in place of one that no code has confirmed.
    ``secret``: base32."""
    _add(unit, sealer, user_id, secret, now, confirmed_at=None, last_step=0)


def confirm(unit: TenantUnit, sealer: Sealer, user_id: int, code: str, now: int) -> bool:
    """Whether the code is the first right one of a secret that waits for it; the app counts from then on."""
    found = unit.first(_FIND, of_user=user_id)
    if found is None or found.confirmed_at is not None:
        return False
    step = _step_of(unit, sealer, found, code, now)
    return bool(step) and unit.change(_CONFIRM, of_user=user_id, step=step, now=now) == 1


def add(unit: TenantUnit, sealer: Sealer, user_id: int, secret: str, code: str, now: int) -> bool:
    """Stores a secret that its first code confirms at once. False for a wrong code; then nothing is stored."""
    step = totp.step_of(secret, code, now)
    if step:
        _add(unit, sealer, user_id, secret, now, confirmed_at=now, last_step=step)
    return bool(step)


def use(unit: TenantUnit, sealer: Sealer, user_id: int, code: str, now: int) -> Check:
    """Checks a code and marks its time step as used: of concurrent uses of one code, one is right."""
    found = find(unit, user_id)
    step = _step_of(unit, sealer, found, code, now) if found is not None else 0
    if not step:
        return Check(False)
    used = unit.change(_USE, of_user=user_id, step=step, now=now) == 1
    return Check(used, None if used else "totp")


def drop(unit: TenantUnit, user_id: int) -> bool:
    """Removes the app, confirmed or not. False when there was none."""
    return unit.change(_DROP, of_user=user_id) == 1


def _add(
    unit: TenantUnit, sealer: Sealer, user_id: int, secret: str, now: int, *, confirmed_at: int | None, last_step: int
) -> None:
    drop(unit, user_id)
    sealed = sealer.seal(secret.encode(), sealed_for(_F.secret, tenant_id=unit.tenant_id, user_id=user_id))
    unit.change(_ADD, user_id=user_id, secret=sealed, created_at=now, confirmed_at=confirmed_at, last_step=last_step)


def _step_of(unit: TenantUnit, sealer: Sealer, found: Totp, code: str, now: int) -> int:
    row = sealed_for(_F.secret, tenant_id=unit.tenant_id, user_id=found.user_id)
    try:
        return totp.step_of(sealer.open(found.secret, row).decode(), code, now)
    except CannotOpen:  # no code can match; recovery codes, and a reset by a manager, still work
        return 0
