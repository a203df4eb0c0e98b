"""Management of system admins by other system admins, of the allowed networks, and of console sessions."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from sqlalchemy import and_, bindparam, select, update

from manifest_auth import audit
from manifest_auth.accounts.admins import admins, second_factor
from manifest_auth.accounts.admins.admins import Admin, get_locked, read
from manifest_auth.accounts.admins.second_factor import HAS_ONE, IS_REQUIRED
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting, AdminCaller, Request
from manifest_auth.errors import Conflict, InvalidToken, existing
from manifest_auth.runtime.settings import HOUR, MINUTE, Network, Settings, admin_networks, is_listed, networks_of
from manifest_auth.sessions.principals import cookie_hash
from manifest_auth.store import RESET, Announcement, Listing, Store, SystemUnit, global_, installation_values
from manifest_auth.store.tables import admin_sessions, system_admins
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Time, Wire

# The transaction locks all active admins and reads the acting one again. If two admins disable each other at the same
# time, the second one is rejected. The last active admin can't be disabled.

_A, _S = system_admins.c, admin_sessions.c


class AdminData(Wire, frozen=True):
    id: int
    username: str
    second_factor: bool
    created_at: Time
    disabled_at: Time | None
    last_sign_in_at: Time | None

    @property
    def username_key(self) -> str:
        """The sort key of lists."""
        return self.username.casefold()


class OwnSession(NamedTuple):
    """An open session of an admin. ``cookie_hash`` is None for a session with tokens."""

    id: str
    created_at: int
    last_used_at: int
    ends_at: int
    address: str
    user_agent: str
    cookie_hash: str | None


_SEEN = select(
    _A.id, _A.username, _A.id.in_(HAS_ONE).label("second_factor"), _A.created_at, _A.disabled_at, _A.last_sign_in_at
)
_BY_ID = global_(_SEEN.where(_A.id == bindparam("id")), AdminData)
#: Filters take ``like``; see :func:`manifest_auth.text.canonical.like`.
LISTING = Listing(
    _SEEN,
    AdminData,
    key=_A.id,
    sorts={"ID": _A.id, "USERNAME": _A.username_key},
    filters={
        "search": _A.username_key.like(bindparam("like"), escape="\\"),
        "active": _A.disabled_at.is_(None),
        "disabled": _A.disabled_at.is_not(None),
    },
    owned=False,
)
_ACTIVE = global_(select(_A.id).where(_A.disabled_at.is_(None)).order_by(_A.id).with_for_update(), int)
_SET_DISABLED = global_(update(system_admins).where(_A.id == bindparam("of_id")).values(disabled_at=bindparam("at")))
_SET_PASSWORD = global_(
    update(system_admins).where(_A.id == bindparam("of_id")).values(password_hash=bindparam("new_hash"))
)
_END_ALL = global_(
    update(admin_sessions)
    .where(_S.admin_id == bindparam("of_id"), _S.id != bindparam("but"), _S.ended_at.is_(None))
    .values(ended_at=bindparam("now"), end_reason=bindparam("reason"))
)
_OPEN = global_(
    select(*(_S[name] for name in OwnSession._fields))
    .where(_S.admin_id == bindparam("of_id"), _S.ended_at.is_(None), _S.ends_at > bindparam("now"))
    .order_by(_S.last_used_at.desc(), _S.id)
    .limit(100),
    OwnSession,
)


def open_sessions(unit: SystemUnit, admin_id: int, now: int) -> list[OwnSession]:
    """The open sessions of an admin, at most 100, by most recent use."""
    return unit.all(_OPEN, of_id=admin_id, now=now)


def get_listed(unit: SystemUnit, admin_id: int) -> AdminData:
    """Returns the admin. Raises NotFound."""
    return existing(unit.first(_BY_ID, id=admin_id))


def lock_active_admins(unit: SystemUnit, ctx: Request) -> list[int]:
    """Locks all active admins and returns their IDs. Raises InvalidToken if the acting admin is no longer one of
    them."""
    active = unit.all(_ACTIVE)
    if isinstance(ctx.caller, AdminCaller):
        session = read(unit, ctx.admin.session_id)
        if ctx.admin.admin_id not in active or session is None or not session.is_alive(ctx.now):
            raise InvalidToken(reason="the acting admin was disabled in the meantime")
        ctx.may_end = True  # admins can disable their own account or end all their sessions
    return active


def get_managed(unit: SystemUnit, ctx: Request, admin_id: int, *, own: str = "") -> Admin:
    """Returns the admin, locked. ``own`` is the error message if admins can't do this to their own account.

    Raises NotFound, InvalidToken, Conflict, or ReauthenticationRequired.
    """
    step_up.check(ctx, Act.ADMINS)
    lock_active_admins(unit, ctx)
    get_listed(unit, admin_id)
    if own and admin_id == ctx.admin.admin_id:
        raise Conflict(own)
    return get_locked(unit, admin_id)


def create(unit: SystemUnit, by: Acting, username: str, password_hash: str) -> int:
    """Creates an admin, and returns the ID. Raises ValidationError, ReauthenticationRequired, or Conflict if the name
    is taken."""
    step_up.check(by, Act.ADMINS)
    admin_id = admins.create(unit, username, password_hash, by.origin.at)
    audit.record_installation(unit, by, Event.ADMIN_CREATED, f"admin:{admin_id}", name=username)
    return admin_id


def disable(unit: SystemUnit, ctx: Request, admin_id: int) -> None:
    """Disables an admin and ends their sessions. Raises NotFound, InvalidToken, ReauthenticationRequired, or Conflict
    if the admin is already disabled or is the last active one."""
    step_up.check(ctx, Act.ADMINS)
    active = lock_active_admins(unit, ctx)
    if get_listed(unit, admin_id).disabled_at is not None:
        raise Conflict(_("The system admin is already disabled"))
    if active == [admin_id]:
        raise Conflict(_("You can't disable the last active system admin"))
    unit.change(_SET_DISABLED, of_id=admin_id, at=ctx.now)
    ended = end_all(unit, admin_id, "admin_disabled", ctx.now)
    detail = {"before": {"disabled": False}, "after": {"disabled": True}, "sessions_ended": ended}
    audit.record_installation(unit, ctx, Event.ADMIN_DISABLED, f"admin:{admin_id}", **detail)


def enable(unit: SystemUnit, by: Acting, admin: Admin) -> None:
    """Enables a disabled admin. Raises Conflict if the admin isn't disabled."""
    if admin.disabled_at is None:
        raise Conflict(_("The system admin isn't disabled"))
    unit.change(_SET_DISABLED, of_id=admin.id, at=None)
    detail = {"before": {"disabled": True}, "after": {"disabled": False}}
    audit.record_installation(unit, by, Event.ADMIN_ENABLED, f"admin:{admin.id}", **detail)


def reset_password(unit: SystemUnit, ctx: Request, admin_id: int, password_hash: str) -> None:
    """Sets a new password for another admin, and ends their sessions. Raises NotFound, InvalidToken, or Conflict."""
    get_managed(unit, ctx, admin_id, own="You can't reset your own password. Change it with your current password")
    set_password(unit, admin_id, password_hash)
    ended = end_all(unit, admin_id, "admin_password_reset", ctx.now)
    audit.record_installation(unit, ctx, Event.ADMIN_PASSWORD_RESET, f"admin:{admin_id}", sessions_ended=ended)


def reset_second_factor(unit: SystemUnit, ctx: Request, admin_id: int) -> None:
    """Removes another admin's second factor, and ends their sessions. Raises NotFound, InvalidToken, or Conflict."""
    get_managed(unit, ctx, admin_id, own="You can't reset your own second factor. Remove it with a code")
    if not second_factor.remove(unit, admin_id):
        raise Conflict(_("The system admin has no second factor"))
    ended = end_all(unit, admin_id, "second_factor_removed", ctx.now)
    audit.record_installation(unit, ctx, Event.SECOND_FACTOR_REMOVED, f"admin:{admin_id}", sessions_ended=ended)


def sign_out_all(unit: SystemUnit, ctx: Request, admin_id: int) -> int:
    """Ends all sessions of an admin. Returns how many there were. Raises NotFound or InvalidToken."""
    get_managed(unit, ctx, admin_id)
    ended = end_all(unit, admin_id, "ended", ctx.now)
    audit.record_installation(unit, ctx, Event.SIGNED_OUT_ALL, f"admin:{admin_id}", sessions=ended)
    return ended


def set_password(unit: SystemUnit, admin_id: int, password_hash: str) -> None:
    unit.change(_SET_PASSWORD, of_id=admin_id, new_hash=password_hash)


def end_all(unit: SystemUnit, admin_id: int, reason: str, now: int, *, but: str = "") -> int:
    """Ends the open sessions of an admin, except ``but``. Returns how many there were."""
    return unit.change(_END_ALL, of_id=admin_id, but=but, reason=reason, now=now)


# If both lists are set, an address must be in both, so no request can remove the environment's limit. The setting is
# cached like a principal (``sessions/principals.py``): on SQLite until the next commit, on PostgreSQL until a change is
# announced. It isn't cached while announcements might be lost.

_NAME = "admin_addresses"
_CHANGED = Announcement("installation", _NAME)
_NO_ADDRESS = (ipaddress.IPv6Network("::/128"),)  # the unspecified address (RFC 4291, 2.5.2), which no caller has


def addresses(unit: SystemUnit) -> str:
    """The comma-separated networks that a system admin has set; empty if there are none."""
    return installation_values.get(unit, _NAME) or ""


def normalised(text: str) -> str:
    """Returns a list of networks in its stored form. Raises ValueError."""
    return ", ".join(str(network) for network in networks_of(text))


def set_addresses(unit: SystemUnit, text: str) -> None:
    """Limits the admin routes to the networks, in the form that :func:`normalised` returns. Takes effect with the
    commit, and within a second on other nodes. If empty, only the environment's limit applies."""
    if text:
        installation_values.put(unit, _NAME, text)
    else:
        installation_values.take(unit, _NAME)
    unit.announce("installation", _NAME)


class AdminNetworks:
    """Checks a caller's address against both lists, on every admin request."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._always = admin_networks(settings)
        self._store = store
        self._set: tuple[Network, ...] | None = None  # as of `_version`; None if it must be read
        self._version: object | None = None
        self._generation = 0
        store.on_announcement(self._forget)

    async def allows(self, address: str) -> bool:
        """Whether the address can call the admin routes and learn that they exist. Raises StoreUnavailable."""
        if self._always and not is_listed(address, self._always):
            return False
        version = self._store.version()
        found = self._set if version is not None and version == self._version else None
        if found is None:
            found = await self._ask(version)
        return not found or is_listed(address, found)

    async def _ask(self, version: object | None) -> tuple[Network, ...]:
        generation = self._generation
        value = await installation_values.look_up(self._store, _NAME)
        found = () if value is None else _read(value)
        # Don't cache a value that was read during a change, because it might be the old one.
        if version is not None and generation == self._generation and version == self._store.version():
            self._set, self._version = found, version
        return found

    def _forget(self, announcement: Announcement) -> None:
        if announcement in (_CHANGED, RESET):
            self._set = None
            self._generation += 1


def _read(value: str) -> tuple[Network, ...]:
    """Parses the stored value. An invalid value, written by hand, allows no address; ``admin addresses`` repairs it."""
    try:
        return networks_of(value) or _NO_ADDRESS
    except ValueError:
        return _NO_ADDRESS


COOKIE = "admin"
PATH = "/installation"
IDLE_S, MOST_S = 30 * MINUTE, 12 * HOUR
_TOUCH_MS = 60_000


class ConsoleSession(NamedTuple):
    """A session with its admin, open or ended. ``seen_at`` is when the cookie was last used, to the minute.
    ``proved_at`` is when password and code were last verified. ``limited`` has the same meaning as in
    :class:`.admins.AdminSession`."""

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
        """Whether the session is valid at ``now`` (milliseconds): not ended, expired, or idle, and its admin not
        disabled."""
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
    """Whether the installation's pages are served. Their cookie requires HTTPS or a loopback address."""
    return settings.secure_cookies or settings.is_loopback


def begin(unit: SystemUnit, session_id: str, cookie: str, now: int, until: int) -> None:
    """Binds the session of an admin who just signed in to a cookie. ``cookie`` has 256 random bits."""
    unit.change(_BEGIN, sid=session_id, hash=cookie_hash(cookie), now=now, until=until)


async def look_up(store: Store, cookie: str) -> ConsoleSession | None:
    """Returns the session of a cookie, open or ended, or None if there is none. Always reads it from the database by
    its key, never from a cache."""
    return await store.look_up(_BY_COOKIE, cookie_hash=cookie_hash(cookie))


def find(unit: SystemUnit, cookie: str) -> ConsoleSession | None:
    """Like :func:`look_up`, but inside a unit of work."""
    return unit.first(_BY_COOKIE, cookie_hash=cookie_hash(cookie))


def is_to_touch(session: ConsoleSession, now: int) -> bool:
    """Whether the use of the cookie is due to be stored."""
    return now - session.seen_at >= _TOUCH_MS


def touch(unit: SystemUnit, session_id: str, now: int) -> None:
    """Stores the use of the cookie, which renews its idle time."""
    unit.change(_TOUCH, sid=session_id, now=now)
