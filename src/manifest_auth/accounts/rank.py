"""The rules of rank: who can manage which users.

* Only an Admin manages an Admin's account, or grants or removes the role Admin. * No user changes their own roles,
deactivates themselves, or resets their own password without the current one. * A client keeps its last active Admin;
``users`` enforces that for every caller.

System admins and the command line are exempt from the first two. The acting user's roles are read again in the
transaction: of two Admins who remove each other's role, the second one is rejected.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.context import AdminCaller, Request, SystemCaller
from manifest_auth.errors import Forbidden
from manifest_auth.permissions import Permission, Role, allowed, permissions_of
from manifest_auth.store import TenantUnit
from manifest_auth.text.languages import marked as _


class Manager(NamedTuple):
    """The acting party. ``user_id`` is None for a system admin or the command line."""

    user_id: int | None
    is_admin: bool


def manager(unit: TenantUnit, who: Request, permission: Permission = Permission.USERS_MANAGE) -> Manager:
    """Returns the acting party, as of this transaction. Raises Forbidden if a user lacks or has lost ``permission``."""
    if isinstance(who.caller, AdminCaller | SystemCaller):
        return Manager(None, True)
    me = users.find_caller(unit, who.user)
    if me is None or me.deactivated_at is not None or permission not in allowed(me.roles, who.user.scopes):
        raise Forbidden.without(permission.value)
    return Manager(me.id, bool(me.roles & Role.ADMIN.bit))


def still_may(unit: TenantUnit, actor: str, permission: Permission, over: User | None = None) -> bool:
    """Whether an actor (as in the audit trail) who created something that takes effect later still has the permission
    and a high enough rank over the user ``over``. System admins and the command line always do."""
    kind, _, number = actor.partition(":")
    maker = users.find(unit, int(number)) if kind == "user" else None
    if maker is None:
        return kind != "user"
    if over is not None and over.roles & Role.ADMIN.bit and not maker.is_admin:
        return False
    return maker.deactivated_at is None and permission in permissions_of(maker.roles)


def get_managed(unit: TenantUnit, who: Request, user_id: int, *, admins: bool = False, own: str = "") -> User:
    """Returns the user, locked, if ``who`` can manage them. ``admins`` has the same meaning as for :func:`users.get`.
    ``own`` is the error message if users can't do this to themselves. Raises NotFound or Forbidden."""
    user = users.get(unit, user_id, lock=True, admins=admins)
    if _checked(unit, who, user).user_id == user.id and own:
        raise Forbidden(own)
    return user


def get_readable(unit: TenantUnit, who: Request, user_id: int) -> User:
    """Returns the user, not locked, if ``who`` can manage them. Raises NotFound or Forbidden."""
    user = users.get(unit, user_id)
    _checked(unit, who, user)
    return user


def _checked(unit: TenantUnit, who: Request, user: User) -> Manager:
    by = manager(unit, who)
    if user.roles & Role.ADMIN.bit and not by.is_admin:
        raise Forbidden(_("Only an Admin can manage an Admin's account"))
    return by


def is_admin(who: Request) -> bool:
    """Whether the caller ranks as an Admin at the start of the request. System admins and the command line do."""
    return isinstance(who.caller, AdminCaller | SystemCaller) or bool(who.user.roles & Role.ADMIN.bit)


def check_is_admin(unit: TenantUnit, who: Request, sentence: str) -> None:
    """Raises Forbidden with ``sentence`` unless the caller is an Admin, a system admin, or the command line."""
    if not manager(unit, who).is_admin:
        raise Forbidden(sentence)


def check_grants(unit: TenantUnit, who: Request, before: int, after: int) -> None:
    """Checks whether ``who`` can grant and remove the roles that differ between two bit masks. Raises Forbidden."""
    by = manager(unit, who)
    if (before ^ after) & Role.ADMIN.bit and not by.is_admin:
        raise Forbidden(_("Only an Admin can grant or remove the Admin role"))
