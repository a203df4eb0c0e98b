"""Consequences of a change of a user's factors, for every kind: the mark in the user's row, and what ends.

The mark is read with every user, so a sign-in without a factor costs no statement more.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from sqlalchemy import bindparam, update

from manifest_auth import sessions, tenants
from manifest_auth.accounts.factors import challenges, passkey_rows, recovery_codes, totp, trusted_browsers
from manifest_auth.errors import Conflict
from manifest_auth.runtime.clock import Random
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import users
from manifest_auth.tenants import TenantSettings

_U = users.c


class Kind(enum.IntFlag):
    """The bits of ``users.factors``."""

    TOTP = 1
    PASSKEY = 2


class Dropped(NamedTuple):
    """How many factors an account had, and how many of its sessions ended."""

    factors: int
    sessions: int


_MARK = tenant_scoped(
    update(users)
    .where(_U.id == bindparam("of_user"))
    .values(factors=bindparam("mask"), second_factor_due_at=bindparam("due_at"))
)


def added(
    unit: TenantUnit, random: Random, user_id: int, before: int, kind: Kind, now: int, *, but: str = ""
) -> tuple[str, ...]:
    """After a factor was added to a locked user: its other sessions and all trust end. Ten recovery codes if it is the
    first one, else none. ``before``: the user's mark until now; ``but``: the session that stays."""
    _changed(unit, user_id, before | kind, "second_factor_enrolled", now, but=but)
    return recovery_codes.make(unit, random, user_id, now) if not before else ()


def check_removable(left: Kind, roles: int, settings: TenantSettings) -> None:
    """Raises Conflict where the last factor of a user with these ``roles`` would go, and the client's policy requires
    one. ``left``: the factors that stay, and work."""
    if not left and tenants.is_required(settings, roles):
        raise Conflict("Your organisation requires a second factor: add another one first")


def removed(unit: TenantUnit, user_id: int, before: int, now: int, *, but: str = "") -> int:
    """After a factor was removed; the new mark. Without any factor the recovery codes go too. As :func:`added`."""
    mask = (Kind.TOTP if totp.find(unit, user_id) else 0) | (Kind.PASSKEY if passkey_rows.count(unit, user_id) else 0)
    if not mask:
        recovery_codes.drop(unit, user_id)
    if mask != before or mask:
        _changed(unit, user_id, mask, "second_factor_removed", now, but=but)
    return mask


def drop_all(unit: TenantUnit, user_id: int, reason: str, now: int) -> Dropped:
    """Takes all factors, codes and trust of a locked user away, and ends all sessions and challenges. Where a factor is
    required, the next sign-in enrols one, without another time of grace."""
    gone = int(totp.drop(unit, user_id)) + passkey_rows.drop_all(unit, user_id)
    recovery_codes.drop(unit, user_id)
    return Dropped(gone, _changed(unit, user_id, 0, reason, now, due_at=now))


def forget_browsers(unit: TenantUnit, user_id: int) -> None:
    """Ends what earlier proofs left behind: the trust of browsers, and sign-ins that wait for a factor. For a new
    password, a deactivation, and the end of all sessions."""
    trusted_browsers.end_all(unit, user_id)
    challenges.drop_all(unit, user_id)


def _changed(
    unit: TenantUnit, user_id: int, mask: int, reason: str, now: int, *, but: str = "", due_at: int | None = None
) -> int:
    unit.change(_MARK, of_user=user_id, mask=int(mask), due_at=due_at)
    forget_browsers(unit, user_id)
    return sessions.end_all(unit, user_id, reason, now, but=but)
