"""The second factor of system admins: one-time codes of an app (TOTP, RFC 6238), and ten recovery codes.

Sign-in requires codes after a first code has confirmed the secret. Each code works once: its time step is stored, and
codes of that step or an earlier one are rejected (RFC 6238, section 5.2). Clocks can differ by one step of 30 seconds.
Recovery codes are random, so a plain hash protects them.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from manifest_auth.errors import Conflict, Replay, ValidationError
from manifest_auth.protocols import totp
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.store import SystemUnit, global_, installation_values
from manifest_auth.store.tables import admin_recovery_codes, admin_second_factors, installation, sealed_for
from manifest_auth.text.languages import marked as _

ISSUER = "Manifest Auth"
_SWITCH = "second_factor"
_REQUIRED = "required"
_F, _R = admin_second_factors.c, admin_recovery_codes.c


class Factor(NamedTuple):
    admin_id: int
    secret: bytes
    confirmed_at: int | None
    last_step: int


class CodeCheck(NamedTuple):
    """The result of checking a code. ``how`` is ``app`` or ``recovery code``, or empty if the code is wrong. ``replay``
    means that the code was used before."""

    how: str = ""
    replay: Replay | None = None


_FIND = global_(
    select(*(_F[name] for name in Factor._fields)).where(_F.admin_id == bindparam("admin_id")).with_for_update(), Factor
)
_ENROLLED = global_(
    select(func.count())
    .select_from(admin_second_factors)
    .where(_F.admin_id == bindparam("of"), _F.confirmed_at.is_not(None)),
    int,
)
_ADD = global_(
    insert(admin_second_factors).values(
        admin_id=bindparam("admin_id"), secret=bindparam("secret"), created_at=bindparam("now"), last_step=0
    )
)
_CONFIRM = global_(
    update(admin_second_factors).where(_F.admin_id == bindparam("of")).values(confirmed_at=bindparam("now"))
)
_USE_STEP = global_(
    update(admin_second_factors)
    .where(_F.admin_id == bindparam("of"), _F.last_step < bindparam("step"))
    .values(last_step=bindparam("step"))
)
_DROP = global_(delete(admin_second_factors).where(_F.admin_id == bindparam("of")))
_ADD_CODE = global_(insert(admin_recovery_codes).values(admin_id=bindparam("admin_id"), key=bindparam("key")))
_USE_CODE = global_(
    update(admin_recovery_codes)
    .where(_R.admin_id == bindparam("of"), _R.key == bindparam("of_key"), _R.used_at.is_(None))
    .values(used_at=bindparam("now"))
)
_CODE = global_(select(_R.key).where(_R.admin_id == bindparam("of"), _R.key == bindparam("of_key")), str)
_DROP_CODES = global_(delete(admin_recovery_codes).where(_R.admin_id == bindparam("of")))
_CODES_LEFT = global_(
    select(func.count()).select_from(admin_recovery_codes).where(_R.admin_id == bindparam("of"), _R.used_at.is_(None)),
    int,
)
#: SQL conditions: which admins have a factor, and whether every admin must have one.
HAS_ONE = select(_F.admin_id).where(_F.confirmed_at.is_not(None))
IS_REQUIRED = (
    select(installation.c.name).where(installation.c.name == _SWITCH, installation.c.value == _REQUIRED).exists()
)


def start(unit: SystemUnit, sealer: Sealer, random: Random, admin_id: int, now: int) -> str:
    """Creates a secret in base32, shown once, which :func:`confirm` activates. Replaces an unconfirmed one. Raises
    Conflict if one is already confirmed."""
    if has_one(unit, admin_id):
        raise Conflict(_("You already have a second factor. Remove it first"))
    remove(unit, admin_id)
    secret = totp.new_secret(random)
    sealed = sealer.seal(secret.encode(), sealed_for(_F.secret, admin_id=admin_id))
    unit.change(_ADD, admin_id=admin_id, secret=sealed, now=now)
    return secret


def confirm(unit: SystemUnit, sealer: Sealer, random: Random, admin_id: int, code: str, now: int) -> tuple[str, ...]:
    """Activates the factor. Returns the recovery codes, which are shown once. Raises Conflict if no factor is waiting
    for confirmation, and ValidationError for a wrong code."""
    found = unit.first(_FIND, admin_id=admin_id)
    if found is None or found.confirmed_at is not None:
        raise Conflict(_("No second factor setup is in progress"))
    step = _step_of(sealer, found, code, now)
    if not step or not _use_step(unit, found, step):
        raise ValidationError(details=[("otp", _("The code is incorrect. Enter the code that the app shows now"))])
    unit.change(_CONFIRM, of=admin_id, now=now)
    return new_codes(unit, random, admin_id)


def use(unit: SystemUnit, sealer: Sealer, admin_id: int, text: str, now: int) -> CodeCheck:
    """Checks an app code or a recovery code, and marks it as used."""
    found = unit.first(_FIND, admin_id=admin_id)
    if found is None or found.confirmed_at is None:
        return CodeCheck()
    code = totp.normal(text)
    if step := _step_of(sealer, found, text, now):
        return CodeCheck("app") if _use_step(unit, found, step) else CodeCheck(replay="totp")
    if unit.change(_USE_CODE, of=admin_id, of_key=_key(admin_id, code), now=now) == 1:
        return CodeCheck("recovery code")
    return CodeCheck(replay="recovery_code" if unit.first(_CODE, of=admin_id, of_key=_key(admin_id, code)) else None)


def has_one(unit: SystemUnit, admin_id: int) -> bool:
    """Whether sign-in requires a code. Locks the factor."""
    found = unit.first(_FIND, admin_id=admin_id)
    return found is not None and found.confirmed_at is not None


def is_enrolled(unit: SystemUnit, admin_id: int) -> bool:
    """Like :func:`has_one`, but without a lock."""
    return unit.first(_ENROLLED, of=admin_id) == 1


def new_codes(unit: SystemUnit, random: Random, admin_id: int) -> tuple[str, ...]:
    """Creates ten recovery codes, shown once, which replace all previous ones."""
    unit.change(_DROP_CODES, of=admin_id)
    codes = totp.new_codes(random)
    for code in codes:
        unit.change(_ADD_CODE, admin_id=admin_id, key=_key(admin_id, totp.normal(code)))
    return codes


def codes_left(unit: SystemUnit, admin_id: int) -> int:
    return unit.one(_CODES_LEFT, of=admin_id)


def remove(unit: SystemUnit, admin_id: int) -> bool:
    """Removes the factor and the recovery codes. Returns False if there was no factor."""
    unit.change(_DROP_CODES, of=admin_id)
    return unit.change(_DROP, of=admin_id) == 1


def is_required(unit: SystemUnit) -> bool:
    """Whether admins without a second factor can do nothing but enroll one."""
    return installation_values.get(unit, _SWITCH) == _REQUIRED


def require(unit: SystemUnit, required: bool) -> None:
    installation_values.put(unit, _SWITCH, _REQUIRED if required else "optional")


def address(secret: str, username: str, host: str) -> str:
    """The ``otpauth://`` URI that apps read from a QR code."""
    return totp.address(secret, f"{username}@{host}", ISSUER)


def _step_of(sealer: Sealer, factor: Factor, code: str, now: int) -> int:
    """Returns the time step of the code, even if the code was used, or 0 for a wrong code."""
    try:
        secret = sealer.open(factor.secret, sealed_for(_F.secret, admin_id=factor.admin_id)).decode()
    except CannotOpen:  # no code can match, but recovery codes and a reset by another admin still work
        return 0
    return totp.step_of(secret, code, now)


def _use_step(unit: SystemUnit, factor: Factor, step: int) -> bool:
    """Marks the time step as used. Returns False if a code of that step or a later one was used before."""
    return unit.change(_USE_STEP, of=factor.admin_id, step=step) == 1


def _key(admin_id: int, code: str) -> str:
    return hashlib.sha256(f"{admin_id}:{code}".encode("utf-8", "surrogatepass")).hexdigest()
