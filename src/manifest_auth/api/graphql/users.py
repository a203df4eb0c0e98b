"""Queries on users: the caller (``me``), the users of the client, and roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from manifest_auth.accounts import email_changes, users
from manifest_auth.accounts.email_changes import EmailChange
from manifest_auth.accounts.users import User
from manifest_auth.api.graphql import arguments, lists
from manifest_auth.api.graphql.batch_loading import Loader
from manifest_auth.api.graphql.lists import ListOf
from manifest_auth.context import Principal
from manifest_auth.errors import ValidationError
from manifest_auth.permissions import Role, permission_names, roles_of
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, Listing, TenantUnit
from manifest_auth.text.models import one_of

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
    """A user with the one-time link that a new Admin may need."""

    link: str | None = None


def _role(role: Role) -> dict[str, Any]:
    number = list(Role).index(role) + 1
    allows = permission_names(role.bit)
    return {"id": number, "name": role.value, "description": _DESCRIPTIONS[role], "permissions": allows}


_ROLE = {role: _role(role) for role in Role}


def _read(unit: TenantUnit, ids: Sequence[int]) -> dict[int, User]:
    return {user.id: user for user in users.get_named(unit, ids)}


_PENDING_CHANGES: Loader[int, EmailChange] = Loader(email_changes.pending_rows)


async def _pending_email(user: User, info: Any) -> str | None:
    return await _pending_of(info.context, user.id)


async def _own_pending_email(me: Principal, info: Any) -> str | None:
    return await _pending_of(info.context, me.user_id)


async def _pending_of(ctx: RequestContext, user_id: int) -> str | None:
    change: EmailChange | None = await _PENDING_CHANGES.load(ctx, user_id)
    return change.new_email if change is not None and change.is_pending(ctx.now) else None


#: Users by id, for every field that names one.
USERS: Loader[int, User] = Loader(_read)


def role_named(name: str, field: str = "role") -> Role:
    """The role of that name. Raises ValidationError."""
    try:
        return Role(name)
    except ValueError:
        raise ValidationError(details=[(field, one_of(role.value for role in Role))]) from None


def _filters(given: dict[str, Any]) -> Filters:
    text, role = arguments.search(given), role_named(given["role"]).bit if "role" in given else 0
    activity = {True: "active", False: "inactive", None: None}[given.get("isActive")]
    service = "service" if given.get("kind") == "SERVICE" else None
    return Filters("role" if role else None, activity, service, role=role).search(text)


def _listing(filters: Filters) -> Listing[User]:
    return users.EVERY_KIND if "service" in filters.names else users.LISTING


_LIST = ListOf(_listing, _filters)


def _me(_root: Any, info: Any) -> Principal:
    caller: Principal = info.context.user
    return caller


def _client(me: Principal, _info: Any) -> dict[str, Any]:
    return {"id": me.tenant_id, "identifier": me.client, "name": me.client_name}


def _roles(holder: User | Principal, _info: Any) -> list[dict[str, Any]]:
    return [_ROLE[role] for role in roles_of(holder.roles)]


async def _user(_root: Any, info: Any, id: int) -> User:
    ctx: RequestContext = info.context
    return await ctx.store.read(lambda unit: users.get(unit, id))


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.me": _me,
    "Query.roles": lambda _root, _info: [_ROLE[role] for role in Role],
    "Query.users": _LIST.items,
    "Query.usersPage": _LIST.page,
    "Query.user": _user,
    "Me.id": lambda me, _info: me.user_id,
    "Me.pendingEmail": _own_pending_email,
    "Me.roles": _roles,
    "Me.permissions": lambda me, _info: permission_names(me.roles, me.scopes),
    "Me.client": _client,
    "User.pendingEmail": _pending_email,
    "User.kind": lambda user, _info: user.kind.upper(),
    "User.roles": _roles,
    "User.isActive": lambda user, _info: user.deactivated_at is None,
    "User.link": lambda user, _info: user.link if isinstance(user, WithLink) else None,
    "UserPage.total": lists.total,
}
