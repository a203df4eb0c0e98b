"""Who is an active Admin: the only statements that write a user's roles, or whether the user is deactivated.

A user who is there becomes an Admin by :func:`set_roles` or :func:`restore`, and both void the account on the way:
whoever calls them hands in how (:class:`Voids`), and no way around it is open.
"""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import bindparam, func, update

from manifest_auth.accounts.users.credentials import drop_password
from manifest_auth.accounts.users.users import ACTIVE_ADMINS, User
from manifest_auth.errors import Conflict
from manifest_auth.licence import Counter
from manifest_auth.permissions import Role
from manifest_auth.store import TenantScoped, TenantUnit, tenant_scoped
from manifest_auth.store.tables import users

_C = users.c
# Only of the row that was judged: whether the user gains the role Admin is seen from its roles and its state.
_AS_JUDGED = (
    _C.id == bindparam("id"),
    _C.roles == bindparam("judged_roles"),
    func.coalesce(_C.deactivated_at, 0) == bindparam("judged_state"),
)
_SET_ROLES = tenant_scoped(update(users).where(*_AS_JUDGED).values(roles=bindparam("new_roles")))
_DEACTIVATE = tenant_scoped(
    update(users).where(_C.id == bindparam("id"), _C.deactivated_at.is_(None)).values(deactivated_at=bindparam("now"))
)
_RESTORE = tenant_scoped(update(users).where(*_AS_JUDGED).values(deactivated_at=None))


class Voids(Protocol):
    """Ends all ways into an account that others may have planted, beside the password, which :func:`set_roles` and
    :func:`restore` take away themselves. Runs when an active user gains the role Admin; ``user``: as it was before."""

    def __call__(self, unit: TenantUnit, user: User) -> None: ...


def set_roles(unit: TenantUnit, counter: Counter, user: User, roles: int, voids: Voids) -> User:
    """Counts from the next request on. ``user``: locked. ``voids``: runs with the gain of the role Admin. Raises
    Conflict when it would leave the tenant without an active Admin, NoSeat when the licence has no seat for these
    roles."""
    if user.roles & Role.ADMIN.bit and not roles & Role.ADMIN.bit:
        _keep_an_admin(unit, user)
    if user.deactivated_at is None:
        counter.seat(unit, user.roles, roles)
    return _written(unit, _SET_ROLES, user, user._replace(roles=roles), voids)


def deactivate(unit: TenantUnit, user: User, now: int) -> bool:
    """False when it was done already. Raises Conflict for the tenant's last active Admin."""
    if user.roles & Role.ADMIN.bit and user.deactivated_at is None:
        _keep_an_admin(unit, user)
    unit.announce("user", user.id)
    return unit.change(_DEACTIVATE, id=user.id, now=now) == 1


def restore(unit: TenantUnit, counter: Counter, user: User, voids: Voids) -> User:
    """Of a user who is deactivated; locked. ``voids``: as for :func:`set_roles`. Raises NoSeat."""
    counter.seat(unit, 0, user.roles)
    return _written(unit, _RESTORE, user, user._replace(deactivated_at=None), voids)


def _written(unit: TenantUnit, statement: TenantScoped[Any], user: User, after: User, voids: Voids) -> User:
    """The one place where a user who is there becomes an active Admin, by whatever path."""
    judged = {"judged_roles": user.roles, "judged_state": user.deactivated_at or 0}
    if unit.change(statement, id=user.id, new_roles=after.roles, **judged) != 1:
        raise Conflict()  # somebody else was faster
    unit.announce("user", user.id)
    if user.is_admin or not after.is_admin:
        return after
    after = drop_password(unit, after)
    voids(unit, user)
    return after


def is_last_admin(unit: TenantUnit, user: User) -> bool:
    """Whether no other active Admin is left beside this one. Locks them; ask for the user with ``admins`` before."""
    return not set(unit.all(ACTIVE_ADMINS)) - {user.id}


def _keep_an_admin(unit: TenantUnit, user: User) -> None:
    if is_last_admin(unit, user):
        raise Conflict("The last active Admin of a client cannot be removed")
