"""Consequences of changing a user's factors, for every kind: the mark in the user's row, and what the change ends.

The mark is read with every user, so a sign-in without a factor needs no extra statement.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from sqlalchemy import bindparam, update

from manifest_auth import sessions, tenants
from manifest_auth.accounts.factors import one_time_codes, passkey_rows, trusted_browsers
from manifest_auth.errors import Conflict
from manifest_auth.runtime.clock import Random
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import users
from manifest_auth.tenants import TenantSettings
from manifest_auth.text.languages import marked as _

_U = users.c


class Kind(enum.IntFlag):
    """The bits of ``users.factors``."""

    TOTP = 1
    PASSKEY = 2


class Dropped(NamedTuple):
    """Everything removed from an account: authenticator app, passkeys, and recovery codes; and how many of its sessions
    ended."""

    app: bool
    passkeys: int
    recovery_codes: bool
    sessions: int

    @property
    def factors(self) -> int:
        """The number of removed factors."""
        return self.app + self.passkeys


_MARK = tenant_scoped(
    update(users)
    .where(_U.id == bindparam("of_user"))
    .values(factors=bindparam("mask"), second_factor_due_at=bindparam("due_at"))
)


def added(
    unit: TenantUnit, random: Random, user_id: int, before: int, kind: Kind, now: int, *, but: str = ""
) -> tuple[str, ...]:
    """Ends other sessions and all trusted browsers after a factor was added to a locked user. Returns ten recovery
    codes for the first factor, otherwise none. ``before`` is the user's previous mark, and ``but`` is the session to
    keep."""
    _changed(unit, user_id, before | kind, "second_factor_enrolled", now, but=but)
    return one_time_codes.make_codes(unit, random, user_id, now) if not before else ()


def check_removable(left: Kind, roles: int, settings: TenantSettings) -> None:
    """Raises Conflict if this would remove the last factor of a user with these ``roles``, and the client's policy
    requires one. ``left`` contains the working factors that stay."""
    if not left and tenants.is_required(settings, roles):
        raise Conflict(_("Your organization requires a second factor. Add another one first"))


def removed(unit: TenantUnit, user_id: int, before: int, now: int, *, but: str = "") -> int:
    """Like :func:`added`, but after a factor was removed. Returns the new mark. If no factor is left, deletes the
    recovery codes too."""
    mask = _mark_of(unit, user_id)
    if not mask:
        one_time_codes.drop_codes(unit, user_id)
    if mask != before or mask:
        _changed(unit, user_id, mask, "second_factor_removed", now, but=but)
    return mask


def drop_all(unit: TenantUnit, user_id: int, reason: str, now: int, *, since: int = 0) -> Dropped:
    """Removes a locked user's factors and codes that were added ``since`` this time (milliseconds), and all trusted
    browsers. Ends all sessions and challenges. If no factor is left and one is required, the next sign-in enrolls one,
    without another grace period."""
    app = one_time_codes.drop_totp_since(unit, user_id, since)
    passkeys = passkey_rows.drop_all(unit, user_id, since=since)
    mask = _mark_of(unit, user_id)
    codes = one_time_codes.drop_codes(unit, user_id, since=since if mask else 0)
    ended = _changed(unit, user_id, mask, reason, now, due_at=None if mask else now)
    return Dropped(app, passkeys, codes, ended)


def _mark_of(unit: TenantUnit, user_id: int) -> Kind:
    """The user's new mark, based on the existing factors."""
    found = Kind.TOTP if one_time_codes.find_totp(unit, user_id) else Kind(0)
    return found | Kind.PASSKEY if passkey_rows.count(unit, user_id) else found


def _changed(
    unit: TenantUnit, user_id: int, mask: int, reason: str, now: int, *, but: str = "", due_at: int | None = None
) -> int:
    unit.change(_MARK, of_user=user_id, mask=int(mask), due_at=due_at)
    trusted_browsers.end_all(unit, user_id)
    return sessions.end_all(unit, user_id, reason, now, but=but)
