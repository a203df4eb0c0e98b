"""Who one is, and the directory of one's client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from manifest_auth.accounts import users
from manifest_auth.accounts.users import EmailChange, User
from manifest_auth.api.graphql import arguments, lists
from manifest_auth.api.graphql.batch_loading import Loader
from manifest_auth.api.graphql.lists import Filters, ListOf
from manifest_auth.context import UserCaller
from manifest_auth.errors import ValidationError
from manifest_auth.permissions import Role, permission_names, roles_of
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import like

_DESCRIPTIONS = {
    Role.ADMIN: "Full access within the client",
    Role.USER_ADMIN: "User management within the organization",
    Role.AUTHOR: "Create and edit templates",
    Role.APPROVER: "Approve template versions",
    Role.PUBLISHER: "Publish templates",
    Role.OPERATOR: "Execute jobs and record data",
    Role.VIEWER: "Read-only access",
}


class Person(NamedTuple):
    """A user as the directory shows it. Plain members, so that leaf fields need no resolver."""

    id: int
    email: str
    firstName: str  # noqa: N815 - the wire's name
    lastName: str  # noqa: N815
    title: str
    roles: int
    description: str
    isActive: bool  # noqa: N815
    createdAt: int  # noqa: N815
    lastSignInAt: int | None  # noqa: N815
    link: str | None = None


class _Me(NamedTuple):
    id: int
    email: str
    firstName: str  # noqa: N815
    lastName: str  # noqa: N815
    title: str
    roles: int


def _role(role: Role) -> dict[str, Any]:
    number = list(Role).index(role) + 1
    allows = permission_names(role.bit)
    return {"id": number, "name": role.value, "description": _DESCRIPTIONS[role], "permissions": allows}


_ROLE = {role: _role(role) for role in Role}


def person(user: User) -> Person:
    """The wire's form of a user."""
    return Person(
        user.id,
        user.email,
        user.first_name,
        user.last_name,
        user.title,
        user.roles,
        user.description,
        user.deactivated_at is None,
        user.created_at,
        user.last_sign_in_at,
    )


def _read(unit: TenantUnit, ids: Sequence[int]) -> dict[int, Person]:
    return {user.id: person(user) for user in users.get_many(unit, ids)}


_WAITING: Loader[int, EmailChange] = Loader(users.email_changes.waiting_of)


async def _pending_email(someone: Any, info: Any) -> str | None:
    ctx: RequestContext = info.context
    change: EmailChange | None = await _WAITING.load(ctx, someone.id)
    return change.new_email if change is not None and change.is_pending(ctx.now) else None


#: People by id, wherever a field names one.
PEOPLE: Loader[int, Person] = Loader(_read)


def role_named(name: str, field: str = "role") -> Role:
    """Raises ValidationError."""
    try:
        return Role(name)
    except ValueError:
        raise ValidationError(
            details=[(field, f"No such role; there are {', '.join(r.value for r in Role)}")]
        ) from None


def _filters(given: dict[str, Any]) -> Filters:
    names, values = set[str](), dict[str, Any]()
    if text := arguments.search(given.get("search", "")):
        names.add("search")
        values["like"] = like(text)
    if "role" in given:
        names.add("role")
        values["role"] = role_named(given["role"]).bit
    if "isActive" in given:
        names.add("active" if given["isActive"] else "inactive")
    return Filters(frozenset(names), values)


_LIST = ListOf(
    users.LISTING,
    _filters,
    person,
)


def _me(_root: Any, info: Any) -> _Me:
    u: UserCaller = info.context.user
    return _Me(u.user_id, u.email, u.first_name, u.last_name, u.title, u.roles)


def _client(_me: Any, info: Any) -> dict[str, Any]:
    caller: UserCaller = info.context.user
    return {"id": caller.tenant_id, "identifier": caller.client, "name": caller.client_name}


def _roles(someone: Any, _info: Any) -> list[dict[str, Any]]:
    return [_ROLE[role] for role in roles_of(someone.roles)]


async def _user(_root: Any, info: Any, id: int) -> Person:  # noqa: A002 - the wire's name
    ctx: RequestContext = info.context
    return person(await ctx.store.read(lambda unit: users.get(unit, id)))


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.me": _me,
    "Query.roles": lambda _root, _info: [_ROLE[role] for role in Role],
    "Query.users": _LIST.items,
    "Query.usersPage": _LIST.page,
    "Query.user": _user,
    "Me.pendingEmail": _pending_email,
    "Me.roles": _roles,
    "Me.permissions": lambda me, _info: permission_names(me.roles),
    "Me.client": _client,
    "User.pendingEmail": _pending_email,
    "User.roles": _roles,
    "UserPage.total": lists.total,
}
