"""System admins and their sessions, and the setup code that creates the first admin."""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

from sqlalchemy import and_, bindparam, insert, select, update

from manifest_auth.accounts.admins.second_factor import HAS_ONE, IS_REQUIRED
from manifest_auth.context import Request
from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import HOUR
from manifest_auth.sessions import Chain
from manifest_auth.sessions.sessions import advancing, ending
from manifest_auth.store import SystemUnit, columns, global_, installation_values
from manifest_auth.store.tables import admin_sessions, system_admins
from manifest_auth.text.canonical import check_name
from manifest_auth.text.languages import marked as _
from manifest_auth.text.scan_codes import grouped_letters, plain_letters, random_letters

# Without the setup code, an attacker who finds a new server first can't create an admin. There is only one code at a
# time. It is valid for an hour, and becomes void when an admin exists.

LENGTH, LIFE_S = 16, HOUR  # 69 bits
_NAME = "setup_code"
_FIRST = global_(select(system_admins.c.id).order_by(system_admins.c.id).limit(1), int)


class SetupCode(NamedTuple):
    """A setup code. ``hash`` is the code's SHA-256, and ``ends_at`` is in milliseconds."""

    hash: str
    ends_at: int


def is_first_needed(unit: SystemUnit) -> bool:
    """Whether there is no system admin yet. Disabled ones count."""
    return unit.first(_FIRST) is None


def find_setup_code(unit: SystemUnit, now: int) -> SetupCode | None:
    """The current valid code, or None."""
    return _read(installation_values.get(unit, _NAME), now)


def make_setup_code(unit: SystemUnit, random: Random, now: int) -> str:
    """Creates a code that replaces any earlier one. It contains hyphens for readability."""
    code = random_letters(random.bytes, LENGTH)
    installation_values.put(unit, _NAME, f"{_hash(code)} {now + LIFE_S * 1000}")
    return grouped_letters(code)


def is_setup_code(stored: SetupCode | None, shown: str) -> bool:
    """Whether ``shown`` is the current code, ignoring hyphens, spaces, and case."""
    return stored is not None and hmac.compare_digest(_hash(plain_letters(shown)), stored.hash)


def lock_setup_code(unit: SystemUnit, now: int) -> SetupCode | None:
    """Like :func:`find_setup_code`, but locks the code: until this transaction ends, no other one can use it or create
    an admin."""
    return _read(installation_values.lock(unit, _NAME), now)


def void_setup_code(unit: SystemUnit) -> None:
    """Deletes the code. Waits for any transaction that is using it."""
    installation_values.take(unit, _NAME)


def _read(value: str | None, now: int) -> SetupCode | None:
    hash_, _, end = (value or "").partition(" ")
    return SetupCode(hash_, int(end)) if end.isdecimal() and now < int(end) else None


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


# System admins run the installation and belong to no tenant. Their tokens have separate keys, audience and tables, so
# they don't open routes for users, and users' tokens don't open theirs.

_A, _S = system_admins.c, admin_sessions.c


class Admin(NamedTuple):
    id: int
    username: str
    password_hash: str
    created_at: int
    disabled_at: int | None
    last_sign_in_at: int | None


class AdminSession(NamedTuple):
    """A session with its admin, open or ended."""

    session_id: str
    admin_id: int
    username: str
    created_at: int
    ends_at: int
    ended_at: int | None
    disabled_at: int | None
    refresh_current: str
    refresh_previous: str | None
    refresh_changed_at: int
    limited: bool  # whether a second factor is required that the admin doesn't have yet
    proved_at: int | None  # when password and code were last verified

    @property
    def chain(self) -> Chain:
        return Chain(self.refresh_current, self.refresh_previous, self.refresh_changed_at)

    def is_alive(self, now: int) -> bool:
        """Whether the session is valid at ``now`` (milliseconds): not ended or expired, and its admin not disabled."""
        return self.ended_at is None and self.ends_at > now and self.disabled_at is None


_BY_NAME = global_(select(*(_A[n] for n in Admin._fields)).where(_A.username_key == bindparam("username_key")), Admin)
_LOCKED = global_(select(*(_A[n] for n in Admin._fields)).where(_A.id == bindparam("id")).with_for_update(), Admin)
_ADD = global_(
    insert(system_admins)
    .values({n: bindparam(n) for n in ("username", "username_key", "password_hash", "created_at")})
    .returning(_A.id),
    int,
)
_SIGNED_IN = global_(update(system_admins).where(_A.id == bindparam("of_id")).values(last_sign_in_at=bindparam("now")))
_REHASH = global_(
    update(system_admins)
    .where(_A.id == bindparam("of_id"), _A.password_hash == bindparam("old_hash"))
    .values(password_hash=bindparam("new_hash"))
)
_ADDRESSES = global_(
    select(_S.address).where(_S.admin_id == bindparam("of_id")).order_by(_S.created_at.desc()).limit(100), str
)
BY_SESSION = global_(
    select(
        _S.id,
        _S.admin_id,
        _A.username,
        _S.created_at,
        _S.ends_at,
        _S.ended_at,
        _A.disabled_at,
        _S.refresh_current,
        _S.refresh_previous,
        _S.refresh_changed_at,
        and_(IS_REQUIRED, _A.id.not_in(HAS_ONE)).label("limited"),
        _S.proved_at,
    )
    .select_from(admin_sessions.join(system_admins, _A.id == _S.admin_id))
    .where(_S.id == bindparam("id")),
    AdminSession,
)
_NEW = columns(
    "id admin_id created_at ends_at last_used_at address user_agent refresh_current refresh_changed_at proved_at"
)
_OPEN = global_(insert(admin_sessions).values({n: bindparam(n) for n in _NEW}))
_PROVED = global_(update(admin_sessions).where(_S.id == bindparam("sid")).values(proved_at=bindparam("now")))
_ADVANCE, _END = global_(advancing(admin_sessions)), global_(ending(admin_sessions))


def find(unit: SystemUnit, username: str) -> Admin | None:
    return unit.first(_BY_NAME, username_key=username.casefold())


def addresses_of(unit: SystemUnit, admin_id: int) -> list[str]:
    """The IP addresses of the admin's most recent sessions, newest first."""
    return unit.all(_ADDRESSES, of_id=admin_id)


def get_locked(unit: SystemUnit, admin_id: int) -> Admin:
    return unit.one(_LOCKED, id=admin_id)  # admins are never deleted


def check_username(username: str) -> None:
    """Checks the username. Raises ValidationError."""
    if not 1 <= len(username) <= 64 or username != username.strip():
        raise ValidationError(
            details=[("username", _("Must have 1 to 64 characters, without leading or trailing spaces"))]
        )
    check_name(username, "username")


def create(unit: SystemUnit, username: str, password_hash: str, now: int) -> int:
    """Creates an admin, which voids the setup code. Returns the ID. Raises ValidationError, or Conflict if the name is
    taken."""
    void_setup_code(unit)
    check_username(username)
    if find(unit, username):
        raise Conflict(_("A system admin with this name already exists"))
    return unit.one(
        _ADD, username=username, username_key=username.casefold(), password_hash=password_hash, created_at=now
    )


def signed_in(unit: SystemUnit, admin_id: int, now: int) -> None:
    unit.change(_SIGNED_IN, of_id=admin_id, now=now)


def rehash(unit: SystemUnit, admin_id: int, old_hash: str, new_hash: str) -> bool:
    return unit.change(_REHASH, of_id=admin_id, old_hash=old_hash, new_hash=new_hash) == 1


def open_session(
    unit: SystemUnit, request: Request, admin_id: int, *, random: Random, most_s: int
) -> tuple[str, str, int]:
    """Opens a session. Returns its ID, the ID of its first refresh token, and when it ends (milliseconds)."""
    now = request.now
    session_id, refresh_id = random.text(16), random.text(12)
    ends_at = now + most_s * 1000
    unit.change(
        _OPEN,
        id=session_id,
        admin_id=admin_id,
        created_at=now,
        ends_at=ends_at,
        last_used_at=now,
        address=request.address,
        user_agent=request.user_agent,
        refresh_current=refresh_id,
        refresh_changed_at=now,
        proved_at=now,
    )
    return session_id, refresh_id, ends_at


def read(unit: SystemUnit, session_id: str) -> AdminSession | None:
    return unit.first(BY_SESSION, id=session_id)


def proved(unit: SystemUnit, session_id: str, now: int) -> None:
    """Records that password and code were verified now. Works for sessions with tokens and with cookies."""
    unit.change(_PROVED, sid=session_id, now=now)


def advance(unit: SystemUnit, session_id: str, before: str, after: str, now: int) -> bool:
    """Like :func:`manifest_auth.sessions.advance`."""
    return unit.change(_ADVANCE, sid=session_id, before=before, after=after, now=now) == 1


def end(unit: SystemUnit, session_id: str, reason: str, now: int) -> bool:
    """Ends a session. This takes effect immediately on all nodes, because every request of an admin reads the store."""
    return unit.change(_END, sid=session_id, reason=reason, now=now) == 1
