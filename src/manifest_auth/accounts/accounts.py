"""Operations on users: by administrators (create, change, set roles, deactivate, restore), and by users themselves."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from manifest_auth import audit, providers, sessions
from manifest_auth.accounts import credential_voiding, email_changes, factors, mail_queue, one_time_links, rank, users
from manifest_auth.accounts.mail_queue import AccountRequest
from manifest_auth.accounts.one_time_links import NewLink, Purpose
from manifest_auth.accounts.provisioning import managed
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.context import AdminCaller, Request, SystemCaller
from manifest_auth.errors import Conflict, Forbidden, ValidationError
from manifest_auth.permissions import role_names
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text import fields
from manifest_auth.text.languages import Language
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector, Wire


class Draft(NamedTuple):
    """The data of a new user. ``roles`` is a bit mask, and ``given`` contains other members of :data:`users.FIELDS`."""

    email: str
    roles: int
    given: Mapping[str, str] = MappingProxyType({})

    @property
    def words(self) -> tuple[str, ...]:
        """Words that must not make up the password."""
        return (self.email, self.given.get("first_name", ""), self.given.get("last_name", ""))


class UserWithAccessLink(NamedTuple):
    """The user. ``new_link`` is a link for a new Admin who has no other way to sign in."""

    user: User
    new_link: NewLink | None

    @property
    def link(self) -> str | None:
        """The link to pass on. None if it was emailed or isn't needed."""
        return self.new_link.link if self.new_link is not None else None


def _gain_path(who: Request) -> str:
    """The source of granted roles, for the audit trail."""
    if isinstance(who.caller, SystemCaller):
        return "command_line"
    return "admin_plane" if isinstance(who.caller, AdminCaller) else "set_user_roles"


def check(draft: Draft) -> None:
    """Checks the data of a new user. Raises ValidationError that names all invalid members."""
    with ErrorCollector() as each:
        with each:
            check_roles(draft.roles)
        with each:
            users.check({"email": draft.email, **draft.given})


def add(unit: TenantUnit, who: AccountRequest, draft: Draft, password_hash: str | None = None) -> User:
    """Creates a user. Pass None as ``password_hash`` for a user without a password. Raises Forbidden, ValidationError,
    or Conflict if the address is taken or no seat is left."""
    step_up.check_gain(who, draft.roles)
    check(draft)
    rank.check_grants(unit, who, 0, draft.roles)
    user = users.create(
        unit,
        who.services.seats,
        email=draft.email,
        roles=draft.roles,
        password_hash=password_hash,
        now=who.now,
        **draft.given,
    )
    detail = {"email": user.email, "roles": role_names(user.roles)}
    audit.record(unit, who, Event.USER_CREATED, f"user:{user.id}", **detail)
    return user


def invite_new(unit: TenantUnit, who: AccountRequest, draft: Draft) -> NewLink:
    """Creates a user and a link for the first sign-in. Raises the errors of :func:`add` and
    :func:`.one_time_links.invite`."""
    return one_time_links.invite(unit, who, add(unit, who, draft).id)


def change(unit: TenantUnit, who: AccountRequest, user_id: int, given: Mapping[str, str]) -> User:
    """Changes the ``given`` members of :data:`users.FIELDS`. A new address takes effect when it is confirmed from its
    mailbox. If mail isn't set up, it takes effect immediately but isn't verified, and links that were sent to the old
    address close. Raises NotFound, Forbidden, ValidationError, ReauthenticationRequired or RateLimited for an address,
    and Conflict if it is taken."""
    user = rank.get_managed(unit, who, user_id)
    _check_unmanaged(unit, who, user, given)
    other = given.get("email", user.email)
    users.check({name: text for name, text in given.items() if text != getattr(user, name)})
    started: email_changes.Started | None = None
    if other != user.email:
        step_up.check(who, Act.EMAIL)  # anyone who reads the new mailbox can reset the password
        if rank.manager(unit, who).user_id == user.id:
            raise Forbidden(_("Change your own email address with your current password"))
        if who.services.mail_queue.is_set_up:
            started = email_changes.start(unit, who, user, other)
            given = {name: value for name, value in given.items() if name != "email"}
    elif "email" in given and rank.manager(unit, who).is_admin:
        email_changes.close_all(unit, user.id, who.now)  # an Admin confirms the current address
    after = users.change(unit, user, who.now, **given)
    if after.email != user.email:
        one_time_links.close(unit, user.id, who.now)
        email_changes.add_done(unit, user, after.email, who.services.random.text(24), who.caller.actor, who.now)
    if given or started is None:
        changed = audit.difference(user._asdict(), given)
        audit.record(unit, who, Event.USER_CHANGED, f"user:{user.id}", **changed)
    return after


def _check_unmanaged(unit: TenantUnit, who: Request, user: User, given: Mapping[str, str]) -> None:
    """Rejects a change of members that only the connection of a managed user changes. Raises Conflict."""
    if any(getattr(user, name) != text for name, text in given.items() if name in managed.MEMBERS):
        managed.check(unit, who, user.id)


def set_roles(unit: TenantUnit, who: AccountRequest, user_id: int, roles: int) -> UserWithAccessLink:
    """Sets a user's roles, which take effect with the user's next request. A user who becomes an Admin must sign in
    again. Raises NotFound, Forbidden, ValidationError, or Conflict for the client's last active Admin or if no seat is
    left for these roles."""
    check_roles(roles)
    user = rank.get_managed(unit, who, user_id, admins=True, own="You can't change your own roles")
    rank.check_grants(unit, who, user.roles, roles)
    step_up.check_gain(who, roles & ~user.roles)
    gain = credential_voiding.AdminGain(who, _gain_path(who), who.caller.actor)
    after = users.set_roles(unit, who.services.seats, user, roles, gain, who.now)
    detail = {"before": role_names(user.roles), "after": role_names(after.roles)}
    audit.record(unit, who, Event.USER_ROLES_CHANGED, f"user:{user.id}", **detail)
    return _with_access_link(unit, who, after, gain)


def _with_access_link(
    unit: TenantUnit, who: AccountRequest, user: User, gain: credential_voiding.AdminGain
) -> UserWithAccessLink:
    return UserWithAccessLink(user, one_time_links.access_link(unit, who, user) if gain.leaves_no_access else None)


def check_roles(roles: int) -> None:
    """Raises ValidationError if there is no role."""
    if not roles:
        raise ValidationError(details=[("roles", _("At least one role is required"))])


def deactivate(unit: TenantUnit, who: Request, user_id: int) -> User:
    """Deactivates a user immediately: sessions end, links close. Raises NotFound, Forbidden, Conflict."""
    user = rank.get_managed(unit, who, user_id, admins=True, own="You can't deactivate yourself")
    managed.check(unit, who, user.id)
    return end_access(unit, who, user)


def end_access(unit: TenantUnit, who: Request, user: User) -> User:
    """Deactivates a locked user, whatever the rank of ``who``. Raises Conflict."""
    now = who.now  # once: it differs each time
    if not users.deactivate(unit, user, now):
        raise Conflict(_("The user is already deactivated"))
    # One-time codes stay, so that exchanging one reports that the account is disabled. Restoring the user voids them.
    ended = sessions.end_all(unit, user.id, "user_deactivated", now, pending=False)
    one_time_links.close(unit, user.id, now)
    email_changes.close_pending(unit, user.id, now)
    providers.drop_tokens(unit, user.id)
    change = {"before": {"deactivated": False}, "after": {"deactivated": True}}
    audit.record(unit, who, Event.USER_DEACTIVATED, f"user:{user.id}", sessions_ended=ended, **change)
    return user._replace(deactivated_at=now)


def restore(unit: TenantUnit, who: AccountRequest, user_id: int) -> UserWithAccessLink:
    """Restores a deactivated user. A restored Admin must sign in again. Raises NotFound, Forbidden, or Conflict, which
    also means that no seat is left."""
    user = rank.get_managed(unit, who, user_id)
    if user.deactivated_at is None:
        raise Conflict(_("The user isn't deactivated"))
    managed.check(unit, who, user.id)
    step_up.check_gain(who, user.roles)
    gain = credential_voiding.AdminGain(who, "restored", who.caller.actor)
    return _with_access_link(unit, who, restore_access(unit, who, user, gain), gain)


def restore_access(unit: TenantUnit, who: AccountRequest, user: User, gain: credential_voiding.AdminGain) -> User:
    """Restores a locked, deactivated user, whatever the rank of ``who``. Raises NoSeat."""
    after = users.restore(unit, who.services.seats, user, gain)
    sessions.void_pending(unit, user.id)
    change = {"before": {"deactivated": True}, "after": {"deactivated": False}}
    audit.record(unit, who, Event.USER_RESTORED, f"user:{user.id}", **change)
    return after


def end_sessions(unit: TenantUnit, who: Request, user_id: int) -> int:
    """Ends all sessions of a user and what they started. Returns how many there were. Raises NotFound, Forbidden."""
    user = rank.get_managed(unit, who, user_id)
    _check_own_sessions(who, user)
    ended = sessions.end_all(unit, user.id, "ended_by_admin", who.now)
    factors.trusted_browsers.end_all(unit, user.id)
    email_changes.close_pending(unit, user.id, who.now)
    audit.record(unit, who, Event.SIGNED_OUT_ALL, f"user:{user.id}", sessions=ended)
    return ended


def end_session(unit: TenantUnit, who: Request, user_id: int, session_id: str) -> None:
    """Ends one session of the user. Raises NotFound (also for another user's session), SessionOver, or Forbidden."""
    user = rank.get_managed(unit, who, user_id)
    _check_own_sessions(who, user)
    sessions.end_one(unit, user.id, session_id, "ended_by_admin", who.now)
    audit.record(unit, who, Event.SESSION_ENDED, f"user:{user.id}", session=session_id)


def _check_own_sessions(who: Request, user: User) -> None:
    """Requires managers to re-authenticate before they end their own sessions, like everyone else. Raises
    ReauthenticationRequired."""
    step_up.check(who, Act.SESSIONS, needed=f"user:{user.id}" == who.caller.actor)


_OWN = "You can't reset your own second factors. Remove them in your account, or ask another administrator"


class FactorResetData(Wire, frozen=True):
    """``factors``: how many factors were removed; ``sessions``: how many sessions ended."""

    factors: int
    sessions: int


def reset_factors(unit: TenantUnit, who: AccountRequest, user_id: int, reason: str) -> FactorResetData:
    """Removes the authenticator app, passkeys, recovery codes, and trusted browsers. Ends all sessions and pending
    sign-ins, and closes open reset links and email changes. ``reason`` is for the audit trail. Raises NotFound,
    Forbidden, ValidationError, or ReauthenticationRequired."""
    step_up.check(who, Act.OTHERS_FACTORS)
    fields.REASON.check(reason, "reason")
    user, now = rank.get_managed(unit, who, user_id, own=_OWN), who.now
    dropped = factors.drop_all(unit, user.id, "second_factor_reset", now)
    closed = one_time_links.close(unit, user.id, now, Purpose.RESET)
    email_changes.close_pending(unit, user.id, now)
    detail = {"factors": dropped.factors, "sessions_ended": dropped.sessions, "links_closed": closed}
    mail_queue.tell(unit, who, user, Event.SECOND_FACTOR_RESET, reason=reason, **detail)
    return FactorResetData(dropped.factors, dropped.sessions)


def change_own(
    unit: TenantUnit, who: Request, given: Mapping[str, str], language: Language | UnsetType | None = UNSET
) -> User:
    """Changes the ``given`` members of :data:`users.OWN`, and the ``language`` (None for no choice). Returns the
    caller's account after the change. Raises ValidationError, or Forbidden for a device."""
    step_up.not_for_devices(who)
    user = users.get(unit, who.user.user_id, lock=True)
    _check_unmanaged(unit, who, user, given)
    after = users.change(unit, user, who.now, **{name: given[name] for name in users.OWN if name in given})
    if language is not UNSET and language != user.language:
        users.set_language(unit, user.id, language, who.now)
        after = after._replace(language=language)
    own = {name: getattr(after, name) for name in (*users.OWN, "language")}
    if after != user:
        audit.record(unit, who, Event.USER_CHANGED, f"user:{user.id}", **audit.difference(user._asdict(), own))
    return after
