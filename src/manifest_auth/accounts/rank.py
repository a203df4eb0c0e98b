"""Who may manage whom (contract, section 7), in one place.

* Only an Admin manages an Admin's account, or grants or takes the role Admin.
* Nobody changes their own roles, deactivates themselves, or resets their own password without the current one.
* A client's last active Admin stays: ``users`` sees to that, for everybody.

System admins and the command line stand above the first two. A user's own roles are read anew in the transaction: of
two who take each other's role away, the second is no Admin any more when the turn comes.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Origin
from manifest_auth.context import AdminCaller, Request
from manifest_auth.errors import Forbidden
from manifest_auth.permissions import Permission, Role, permissions_of
from manifest_auth.store import TenantUnit

#: Who acts: a request, or the command line.
Who = Request | Origin


class Manager(NamedTuple):
    """``user_id`` None: somebody above the users of the client."""

    user_id: int | None
    is_admin: bool


def manager(unit: TenantUnit, who: Who, permission: Permission = Permission.USERS_MANAGE) -> Manager:
    """Who acts, as of this transaction. Raises Forbidden for a user without the permission, or not any more."""
    if isinstance(who, Origin) or isinstance(who.caller, AdminCaller):
        return Manager(None, True)
    me = users.find(unit, who.user.user_id)
    if me is None or me.deactivated_at is not None or permission not in permissions_of(me.roles):
        raise Forbidden(reason=f"needs {permission.value}")
    return Manager(me.id, bool(me.roles & Role.ADMIN.bit))


def managed(unit: TenantUnit, who: Who, user_id: int, *, admins: bool = False, own: str = "") -> User:
    """The user, locked, whom ``who`` may manage. ``admins``: as for :func:`users.get`. ``own``: the sentence for those
    who would do it to themselves, where nobody may. Raises NotFound, Forbidden."""
    user = users.get(unit, user_id, lock=True, admins=admins)
    if _checked(unit, who, user).user_id == user.id and own:
        raise Forbidden(own)
    return user


def looked_at(unit: TenantUnit, who: Who, user_id: int) -> User:
    """The user whom ``who`` may manage, for who only reads. Raises NotFound, Forbidden."""
    user = users.get(unit, user_id)
    _checked(unit, who, user)
    return user


def _checked(unit: TenantUnit, who: Who, user: User) -> Manager:
    by = manager(unit, who)
    if user.roles & Role.ADMIN.bit and not by.is_admin:
        raise Forbidden("Only an Admin manages an Admin's account")
    return by


def is_admin(who: Request) -> bool:
    """Whether the caller ranks as an Admin, as of the start of the request: a system admin does."""
    return isinstance(who.caller, AdminCaller) or bool(who.user.roles & Role.ADMIN.bit)


def check_is_admin(unit: TenantUnit, who: Who, sentence: str) -> None:
    """For what only an Admin does, or somebody above the users of the client. Raises Forbidden."""
    if not manager(unit, who).is_admin:
        raise Forbidden(sentence)


def check_grants(unit: TenantUnit, who: Who, before: int, after: int) -> None:
    """Whether ``who`` may give and take what differs between two masks of roles. Raises Forbidden."""
    by = manager(unit, who)
    if (before ^ after) & Role.ADMIN.bit and not by.is_admin:
        raise Forbidden("Only an Admin grants or takes the role Admin")
