"""Users as those who manage them see them: made, changed, kept out, let in again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from manifest_auth import audit, providers, sessions
from manifest_auth.accounts import email_change_start, invitations, one_time_links, rank, users, voiding
from manifest_auth.accounts.invitations import Made
from manifest_auth.accounts.rank import Who
from manifest_auth.accounts.tools import AccountTools
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event, Origin
from manifest_auth.context import AdminCaller, Request
from manifest_auth.errors import Conflict, Forbidden, NotFound, ValidationError
from manifest_auth.mail_queue import Queued
from manifest_auth.permissions import role_names
from manifest_auth.store import TenantUnit

#: What :func:`change` may change.
CHANGEABLE = ("email", "first_name", "last_name", "title", "description")


class Draft(NamedTuple):
    """A user who is to be made. ``roles``: a mask."""

    email: str
    roles: int
    first_name: str = ""
    last_name: str = ""
    title: str = ""
    description: str = ""


class Changed(NamedTuple):
    """``mails``: to send after the commit."""

    user: User
    mails: tuple[Queued | None, ...]


class Admitted(NamedTuple):
    """``made``: the link with which a new Admin comes in, where no other way is left; to be handed over."""

    user: User
    made: Made | None


def _path(who: Who) -> str:
    """How somebody gives roles."""
    if isinstance(who, Origin):
        return "command_line"
    return "admin_plane" if isinstance(who.caller, AdminCaller) else "set_user_roles"


def add(unit: TenantUnit, who: Who, tools: AccountTools, draft: Draft, password_hash: str | None = None) -> User:
    """Raises Forbidden, ValidationError, Conflict when the address is taken or
    no seat is left."""
    _check_roles(draft.roles)
    rank.check_grants(unit, who, 0, draft.roles)
    user = users.create(unit, tools.seats, **draft._asdict(), password_hash=password_hash, now=who.origin.at)
    detail = {"email": user.email, "roles": role_names(user.roles)}
    audit.record(unit, who, Event.USER_CREATED, f"user:{user.id}", **detail)
    return user


def change(unit: TenantUnit, who: Request, tools: AccountTools, user_id: int, given: Mapping[str, str]) -> Changed:
    """Changes what is given (:data:`CHANGEABLE`), leaves the rest. Another address takes effect when its mailbox
    confirms; where no mail is set up, at once: it is not proved then, and closes the links that went to the one before.
    Raises NotFound, Forbidden, ValidationError, RateLimited, Conflict when the address is taken."""
    user = rank.managed(unit, who, user_id)
    other = given.get("email", user.email)
    started: email_change_start.Started | None = None
    if other != user.email:
        if rank.manager(unit, who).user_id == user.id:
            raise Forbidden("Change your own address with your current password")
        if tools.mail_queue.is_set_up:
            started = email_change_start.start(unit, who, tools, user, other)
            given = {name: value for name, value in given.items() if name != "email"}
    elif "email" in given and rank.manager(unit, who).is_admin:
        users.email_changes.close_all(unit, user.id, who.now)  # an Admin says that the present address is right
    before = {name: getattr(user, name) for name in CHANGEABLE}
    after = users.change(unit, user, **{**before, **given})
    if after.email != user.email:
        one_time_links.close(unit, user.id, who.now)
        users.email_changes.add_done(unit, user, after.email, tools.random.text(24), who.caller.actor, who.now)
    if given or started is None:
        changed = {name: value for name, value in given.items() if value != before[name]}
        detail = {"before": {name: before[name] for name in changed}, "after": changed}
        audit.record(unit, who, Event.USER_CHANGED, f"user:{user.id}", **detail)
    return Changed(after, started.mails if started else ())


def set_roles(unit: TenantUnit, who: Who, tools: AccountTools, user_id: int, roles: int) -> Admitted:
    """Counts from the user's next request on; who gains the role Admin by it comes in anew. Raises NotFound,
    Forbidden, ValidationError, Conflict for the client's last active Admin, or when no seat is left for these roles."""
    _check_roles(roles)
    user = rank.managed(unit, who, user_id, admins=True, own="Nobody changes their own roles")
    rank.check_grants(unit, who, user.roles, roles)
    gain = voiding.Gain(who, _path(who), who.origin.actor)
    after = users.set_roles(unit, tools.seats, user, roles, gain)
    detail = {"before": role_names(user.roles), "after": role_names(after.roles)}
    audit.record(unit, who, Event.USER_ROLES_CHANGED, f"user:{user.id}", **detail)
    return _admitted(unit, who, tools, after, gain)


def _admitted(unit: TenantUnit, who: Who, tools: AccountTools, user: User, gain: voiding.Gain) -> Admitted:
    return Admitted(user, invitations.way_in(unit, who, tools, user) if gain.shuts_out else None)


def _check_roles(roles: int) -> None:
    if not roles:
        raise ValidationError(details=[("roles", "One role at least")])


def deactivate(unit: TenantUnit, who: Request, user_id: int) -> User:
    """Keeps the user out, at once: sessions end, links close. Raises NotFound, Forbidden, Conflict."""
    user = rank.managed(unit, who, user_id, admins=True, own="Nobody deactivates themselves")
    if not users.deactivate(unit, user, who.now):
        raise Conflict("The user is deactivated already")
    # A code is told that the account is disabled, and used up by that; one that is not shown is void after a restore.
    ended = sessions.end_all(unit, user.id, "user_deactivated", who.now, codes=False)
    one_time_links.close(unit, user.id, who.now)
    users.email_changes.close_pending(unit, user.id, who.now)
    providers.drop_tokens(unit, user.id)
    change = {"before": {"deactivated": False}, "after": {"deactivated": True}}
    audit.record(unit, who, Event.USER_DEACTIVATED, f"user:{user.id}", sessions_ended=ended, **change)
    return user._replace(deactivated_at=who.now)


def restore(unit: TenantUnit, who: Request, tools: AccountTools, user_id: int) -> Admitted:
    """An Admin who is let in again comes in anew. Raises NotFound, Forbidden, Conflict, also when no seat is left."""
    user = rank.managed(unit, who, user_id)
    if user.deactivated_at is None:
        raise Conflict("The user is not deactivated")
    gain = voiding.Gain(who, "restored", who.origin.actor)
    after = users.restore(unit, tools.seats, user, gain)
    sessions.take_codes_back(unit, user.id)
    change = {"before": {"deactivated": True}, "after": {"deactivated": False}}
    audit.record(unit, who, Event.USER_RESTORED, f"user:{user.id}", **change)
    return _admitted(unit, who, tools, after, gain)


def end_sessions(unit: TenantUnit, who: Request, user_id: int) -> int:
    """How many sessions there were. Raises NotFound, Forbidden."""
    user = rank.managed(unit, who, user_id)
    ended = sessions.end_all(unit, user.id, "ended_by_admin", who.now)
    audit.record(unit, who, Event.SIGNED_OUT_ALL, f"user:{user.id}", sessions=ended)
    return ended


def end_session(unit: TenantUnit, who: Request, user_id: int, session_id: str) -> None:
    """Ends one session of the user. Raises NotFound, also for a session of another user, and Forbidden."""
    user = rank.managed(unit, who, user_id)
    found = sessions.find_seen(unit, session_id)
    if found is None or found.user_id != user.id or not sessions.end(unit, session_id, "ended_by_admin", who.now):
        raise NotFound()
    audit.record(unit, who, Event.SESSION_ENDED, f"user:{user.id}", session=session_id)
