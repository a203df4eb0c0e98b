"""The only statements that write a user's roles, and whether the user is deactivated.

An existing user becomes an active Admin only through :func:`set_roles` or :func:`restore`, and both void the account's
credentials: callers must pass in how (:class:`VoidAccount`).
"""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import bindparam, func, update

from manifest_auth.accounts import factors
from manifest_auth.accounts.users.users import ACTIVE_ADMINS, User, drop_password
from manifest_auth.errors import Conflict
from manifest_auth.licence import SeatCounter
from manifest_auth.permissions import Role
from manifest_auth.store import TenantScoped, TenantUnit, tenant_scoped
from manifest_auth.store.tables import users

_C = users.c
# Only the row that was checked: roles and state decide whether the user gains the role Admin.
_AS_CHECKED = (
    _C.id == bindparam("id"),
    _C.roles == bindparam("checked_roles"),
    func.coalesce(_C.deactivated_at, 0) == bindparam("checked_state"),
)
_SET_ROLES = tenant_scoped(update(users).where(*_AS_CHECKED).values(roles=bindparam("new_roles")))
_DEACTIVATE = tenant_scoped(
    update(users).where(_C.id == bindparam("id"), _C.deactivated_at.is_(None)).values(deactivated_at=bindparam("now"))
)
_RESTORE = tenant_scoped(update(users).where(*_AS_CHECKED).values(deactivated_at=None))


class VoidAccount(Protocol):
    """Ends all credentials that another person may have planted in an account, except the password, which
    :func:`set_roles` and :func:`restore` remove. Runs when a user becomes an active Admin; ``user``: as before."""

    def __call__(self, unit: TenantUnit, user: User) -> None: ...


def set_roles(unit: TenantUnit, counter: SeatCounter, user: User, roles: int, void_account: VoidAccount) -> User:
    """Sets the roles, from the next request on. ``user``: locked. ``void_account``: runs when the user becomes an
    active Admin. Raises Conflict when no active Admin would be left, NoSeat when the licence has no seat for these
    roles."""
    if user.roles & Role.ADMIN.bit and not roles & Role.ADMIN.bit:
        _check_not_last_admin(unit, user)
    if user.deactivated_at is None:
        counter.seat(unit, user.roles, roles)
    return _write(unit, _SET_ROLES, user, user._replace(roles=roles), void_account)


def deactivate(unit: TenantUnit, user: User, now: int) -> bool:
    """Deactivates a user. False when that was done already. Raises Conflict for the tenant's last active Admin."""
    if user.roles & Role.ADMIN.bit and user.deactivated_at is None:
        _check_not_last_admin(unit, user)
    unit.announce("user", user.id)
    factors.trusted_browsers.end_all(unit, user.id)
    return unit.change(_DEACTIVATE, id=user.id, now=now) == 1


def restore(unit: TenantUnit, counter: SeatCounter, user: User, void_account: VoidAccount) -> User:
    """Restores a deactivated user, who is locked. ``void_account``: as for :func:`set_roles`. Raises NoSeat."""
    counter.seat(unit, 0, user.roles)
    return _write(unit, _RESTORE, user, user._replace(deactivated_at=None), void_account)


def _write(unit: TenantUnit, statement: TenantScoped[Any], user: User, after: User, void_account: VoidAccount) -> User:
    """The one place where an existing user becomes an active Admin."""
    checked = {"checked_roles": user.roles, "checked_state": user.deactivated_at or 0}
    if unit.change(statement, id=user.id, new_roles=after.roles, **checked) != 1:
        raise Conflict()  # a concurrent change was faster
    unit.announce("user", user.id)
    if user.is_admin or not after.is_admin:
        return after
    after = drop_password(unit, after)
    void_account(unit, user)
    return after


def is_last_admin(unit: TenantUnit, user: User) -> bool:
    """Whether this is the only active Admin. Locks all of them; get the user with ``admins`` before."""
    return not set(unit.all(ACTIVE_ADMINS)) - {user.id}


def _check_not_last_admin(unit: TenantUnit, user: User) -> None:
    if is_last_admin(unit, user):
        raise Conflict("The last active Admin of a client cannot be removed")
