"""Sessions of system admins on the pages of the installation, identified by a cookie, without tokens."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, select, update

from manifest_auth.accounts.admins.second_factor import HAS_ONE, IS_REQUIRED
from manifest_auth.context import AdminCaller
from manifest_auth.runtime.settings import HOUR, MINUTE, Settings
from manifest_auth.sessions.principals import cookie_hash
from manifest_auth.store import Store, SystemUnit, global_
from manifest_auth.store.tables import admin_sessions, system_admins

COOKIE = "admin"
PATH = "/installation"
IDLE_S, MOST_S = 30 * MINUTE, 12 * HOUR
_TOUCH_MS = 60_000
_A, _S = system_admins.c, admin_sessions.c


class ConsoleSession(NamedTuple):
    """A session with its admin, alive or ended. ``seen_at``: last use of the cookie, to the minute. ``proved_at``: when
    password and code were verified last. ``limited``: as in :class:`.admins.AdminSession`."""

    session_id: str
    admin_id: int
    username: str
    ends_at: int
    ended_at: int | None
    disabled_at: int | None
    seen_at: int
    proved_at: int
    limited: bool

    def is_alive(self, now: int) -> bool:
        """Whether the session is valid at ``now`` (milliseconds): not ended, expired, disabled or idle."""
        lives = self.ended_at is None and self.disabled_at is None and now < self.ends_at
        return lives and now - self.seen_at < IDLE_S * 1000

    @property
    def caller(self) -> AdminCaller:
        return AdminCaller(self.session_id, self.admin_id, self.username, bool(self.limited), self.proved_at)


_BY_COOKIE = global_(
    select(
        _S.id,
        _S.admin_id,
        _A.username,
        _S.ends_at,
        _S.ended_at,
        _A.disabled_at,
        _S.cookie_seen_at,
        _S.proved_at,
        and_(IS_REQUIRED, _A.id.not_in(HAS_ONE)).label("limited"),
    )
    .select_from(admin_sessions.join(system_admins, _A.id == _S.admin_id))
    .where(_S.cookie_hash == bindparam("cookie_hash")),
    ConsoleSession,
)
_BEGIN = global_(
    update(admin_sessions)
    .where(_S.id == bindparam("sid"))
    .values(
        cookie_hash=bindparam("hash"),
        cookie_seen_at=bindparam("now"),
        proved_at=bindparam("now"),
        ends_at=bindparam("until"),
    )
)
_TOUCH = global_(
    update(admin_sessions)
    .where(_S.id == bindparam("sid"), _S.ended_at.is_(None), _S.cookie_seen_at < bindparam("now"))
    .values(cookie_seen_at=bindparam("now"), last_used_at=bindparam("now"))
)


def is_served(settings: Settings) -> bool:
    """Whether the pages of the installation are served: their cookie needs https or a loopback address."""
    return settings.secure_cookies or settings.is_loopback


def begin(unit: SystemUnit, session_id: str, cookie: str, now: int, until: int) -> None:
    """Binds the session of an admin who has just signed in to a cookie. ``cookie``: 256 random bits."""
    unit.change(_BEGIN, sid=session_id, hash=cookie_hash(cookie), now=now, until=until)


async def look_up(store: Store, cookie: str) -> ConsoleSession | None:
    """The session of a cookie, alive or not, by a key read of the store, never from a cache; None: there is none."""
    return await store.look_up(_BY_COOKIE, cookie_hash=cookie_hash(cookie))


def find(unit: SystemUnit, cookie: str) -> ConsoleSession | None:
    """As :func:`look_up`, inside a unit of work."""
    return unit.first(_BY_COOKIE, cookie_hash=cookie_hash(cookie))


def is_to_touch(session: ConsoleSession, now: int) -> bool:
    """Whether the use of the cookie must be stored."""
    return now - session.seen_at >= _TOUCH_MS


def touch(unit: SystemUnit, session_id: str, now: int) -> None:
    """Stores the use of the cookie, which renews its idle time."""
    unit.change(_TOUCH, sid=session_id, now=now)
