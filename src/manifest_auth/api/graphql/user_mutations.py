"""Mutations on users.

Each calls one function of ``accounts``, which checks ranks; the schema states the permission.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from manifest_auth import accounts
from manifest_auth.accounts import Draft, FactorReset, users
from manifest_auth.accounts.one_time_links import DeliveredLink
from manifest_auth.accounts.users import User
from manifest_auth.api.graphql.users import WithLink, role_named
from manifest_auth.errors import ValidationError
from manifest_auth.operations import manage_users
from manifest_auth.operations.manage_users import Entered
from manifest_auth.permissions import Role, mask_of
from manifest_auth.services import RequestContext
from manifest_auth.text.fields import wire_name
from manifest_auth.text.models import ErrorCollector

_WIRE = {name: wire_name(name) for name in users.FIELDS}


def _given(members: dict[str, Any]) -> dict[str, str]:
    """The members of an input that are given; null counts as left out."""
    return {name: members[wire] for name, wire in _WIRE.items() if members.get(wire) is not None}


def _roles(names: Sequence[str]) -> int:
    """The bit mask of named roles. Raises ValidationError."""
    if len(names) > len(Role):
        raise ValidationError(details=[("roles", f"At most {len(Role)}")])
    return mask_of([role_named(name, "roles") for name in names])


def _draft(members: dict[str, Any]) -> Draft:
    found, roles = _given(members), 0
    with ErrorCollector() as each:
        with each:
            users.check(found)
        with each:
            roles = _roles(members["roles"])
            accounts.check_roles(roles)
    return Draft(found.pop("email"), roles, found)


def _with_link(entered: Entered) -> User:
    """The user, with the link that a new Admin may need."""
    if entered.link is None:
        return entered.user
    user = WithLink(*entered.user)
    user.link = entered.link
    return user


async def _invite(_root: Any, info: Any, input: dict[str, Any]) -> DeliveredLink:
    return await manage_users.invite(info.context, _draft(input))


async def _renew(_root: Any, info: Any, userId: int) -> DeliveredLink:
    return await manage_users.renew_invitation(info.context, userId)


async def _add(_root: Any, info: Any, input: dict[str, Any]) -> User:
    ctx: RequestContext = info.context
    draft = _draft(input)
    return await ctx.store.write(lambda unit: accounts.add(unit, ctx, ctx.services.account_tools, draft))


async def _update(_root: Any, info: Any, id: int, input: dict[str, Any]) -> User:
    return await manage_users.change(info.context, id, _given(input))


async def _set_roles(_root: Any, info: Any, userId: int, roles: list[str]) -> User:
    return _with_link(await manage_users.set_roles(info.context, userId, _roles(roles)))


async def _deactivate(_root: Any, info: Any, id: int) -> User:
    ctx: RequestContext = info.context
    return await ctx.store.write(lambda unit: accounts.deactivate(unit, ctx, id))


async def _restore(_root: Any, info: Any, id: int) -> User:
    return _with_link(await manage_users.restore(info.context, id))


async def _end_sessions(_root: Any, info: Any, userId: int) -> int:
    ctx: RequestContext = info.context
    return await ctx.store.write(lambda unit: accounts.end_sessions(unit, ctx, userId))


async def _reset(_root: Any, info: Any, userId: int) -> DeliveredLink:
    return await manage_users.start_reset(info.context, userId)


async def _reset_factors(_root: Any, info: Any, userId: int, reason: str) -> FactorReset:
    return await manage_users.reset_factors(info.context, userId, reason)


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Mutation.inviteUser": _invite,
    "Mutation.renewInvitation": _renew,
    "Mutation.addUser": _add,
    "Mutation.updateUser": _update,
    "Mutation.setUserRoles": _set_roles,
    "Mutation.deactivateUser": _deactivate,
    "Mutation.restoreUser": _restore,
    "Mutation.endUserSessions": _end_sessions,
    "Mutation.resetUserPassword": _reset,
    "Mutation.resetUserFactors": _reset_factors,
}
