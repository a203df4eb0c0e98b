"""Queries and mutations on users, the caller (``me``), and roles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from manifest_auth import accounts
from manifest_auth.accounts import Draft, NewLink, UserWithAccessLink, email_changes, users
from manifest_auth.accounts.email_changes import EmailChange
from manifest_auth.accounts.users import User
from manifest_auth.api.graphql import lists
from manifest_auth.api.graphql.batch_loading import Loader
from manifest_auth.api.graphql.lists import ListOf
from manifest_auth.context import Principal
from manifest_auth.errors import ValidationError
from manifest_auth.permissions import Role, mask_of, permission_names, roles_of
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters
from manifest_auth.text.fields import wire_name
from manifest_auth.text.models import ErrorCollector, one_of

T = TypeVar("T")
_DESCRIPTIONS = {
    Role.ADMIN: "Full access within the client",
    Role.USER_ADMIN: "User management within the organization",
    Role.AUTHOR: "Create and edit templates",
    Role.APPROVER: "Approve template versions",
    Role.PUBLISHER: "Publish templates",
    Role.OPERATOR: "Execute jobs and record data",
    Role.VIEWER: "Read-only access",
}


class WithLink(User):
    """A user with the one-time link that a new Admin might need."""

    link: str | None = None


_ROLE = {
    role: {"id": number, "name": role.value, "description": about, "permissions": permission_names(role.bit)}
    for number, (role, about) in enumerate(_DESCRIPTIONS.items(), 1)
}


_PENDING_CHANGES: Loader[int, EmailChange] = Loader(email_changes.pending_rows)


async def _pending_email(holder: User | Principal, info: Any) -> str | None:
    ctx: RequestContext = info.context
    user_id = holder.user_id if isinstance(holder, Principal) else holder.id
    change: EmailChange | None = await _PENDING_CHANGES.load(ctx, user_id)
    return change.new_email if change is not None and change.is_pending(ctx.now) else None


#: Users by ID, for every field that refers to one.
USERS: Loader[int, User] = Loader(lambda unit, ids: {user.id: user for user in users.get_named(unit, ids)})


def role_named(name: str, field: str = "role") -> Role:
    """Returns the role with this name. Raises ValidationError."""
    try:
        return Role(name)
    except ValueError:
        raise ValidationError(details=[(field, one_of(role.value for role in Role))]) from None


def _filters(given: dict[str, Any]) -> Filters:
    text, role = lists.search(given), role_named(given["role"]).bit if "role" in given else 0
    activity = {True: "active", False: "inactive", None: None}[given.get("isActive")]
    service = "service" if given.get("kind") == "SERVICE" else None
    return Filters("role" if role else None, activity, service, role=role).search(text)


_LIST = ListOf(lambda filters: users.EVERY_KIND if "service" in filters.names else users.LISTING, _filters)


def _user_roles(holder: User | Principal, _info: Any) -> list[dict[str, Any]]:
    return [_ROLE[role] for role in roles_of(holder.roles)]


USER_RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.me": lambda _root, info: info.context.user,
    "Query.roles": lambda _root, _info: [_ROLE[role] for role in Role],
    "Query.users": _LIST.items,
    "Query.usersPage": _LIST.page,
    "Query.user": lists.one(users.get),
    "Me.id": lambda me, _info: me.user_id,
    "Me.pendingEmail": _pending_email,
    "Me.roles": _user_roles,
    "Me.permissions": lambda me, _info: permission_names(me.roles, me.scopes),
    "Me.client": lambda me, _info: {"id": me.tenant_id, "identifier": me.client, "name": me.client_name},
    "User.pendingEmail": _pending_email,
    "User.kind": lambda user, _info: user.kind.upper(),
    "User.roles": _user_roles,
    "User.isActive": lambda user, _info: user.deactivated_at is None,
    "User.link": lambda user, _info: user.link if isinstance(user, WithLink) else None,
    "UserPage.total": lists.total,
}


_WIRE = {name: wire_name(name) for name in users.FIELDS}


def _given(members: dict[str, Any]) -> dict[str, str]:
    """The given members of an input. Null counts as omitted."""
    return {name: members[wire] for name, wire in _WIRE.items() if members.get(wire) is not None}


def _entered_roles(names: Sequence[str]) -> int:
    """Returns the bit mask of named roles. Raises ValidationError."""
    if len(names) > len(Role):
        raise ValidationError(details=[("roles", f"Enter at most {len(Role)}")])
    return mask_of([role_named(name, "roles") for name in names])


def _draft(members: dict[str, Any]) -> Draft:
    found, roles = _given(members), 0
    with ErrorCollector() as each:
        with each:
            users.check(found)
        with each:
            roles = _entered_roles(members["roles"])
            accounts.check_roles(roles)
    return Draft(found.pop("email"), roles, found)


def _act(info: Any, work: Callable[..., T], *given: Any) -> Awaitable[T]:
    """Runs a function of ``accounts`` on the caller's client, in one transaction."""
    ctx: RequestContext = info.context
    return ctx.store.write(lambda unit: work(unit, ctx, *given))


async def _admitted(admitted: Awaitable[UserWithAccessLink]) -> User:
    """Returns the user, with the link that a new Admin might need."""
    done = await admitted
    if done.link is None:
        return done.user
    user = WithLink(*done.user)
    user.link = done.link
    return user


async def _linked(info: Any, made: Awaitable[NewLink]) -> NewLink:
    return await accounts.sent(info.context, await made)


MUTATION_RESOLVERS: dict[str, Callable[..., Any]] = {
    "Mutation.inviteUser": lambda _root, info, input: _linked(info, _act(info, accounts.invite_new, _draft(input))),
    "Mutation.renewInvitation": lambda _root, info, userId: _linked(info, _act(info, accounts.invite, userId)),
    "Mutation.addUser": lambda _root, info, input: _act(info, accounts.add, _draft(input)),
    "Mutation.updateUser": lambda _root, info, id, input: _act(info, accounts.change, id, _given(input)),
    "Mutation.setUserRoles": lambda _root, info, userId, roles: _admitted(
        _act(info, accounts.set_roles, userId, _entered_roles(roles))
    ),
    "Mutation.deactivateUser": lambda _root, info, id: _act(info, accounts.deactivate, id),
    "Mutation.restoreUser": lambda _root, info, id: _admitted(_act(info, accounts.restore, id)),
    "Mutation.endUserSessions": lambda _root, info, userId: _act(info, accounts.end_sessions, userId),
    "Mutation.resetUserPassword": lambda _root, info, userId: _linked(info, _act(info, accounts.start_reset, userId)),
    "Mutation.resetUserFactors": lambda _root, info, userId, reason: _act(info, accounts.reset_factors, userId, reason),
}
