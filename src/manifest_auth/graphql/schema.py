"""The schema: who one is, and the directory of one's client. Resolvers call the same verbs as REST does.

Every field names the permission that it needs in :data:`NEEDS`; a field at the root that is not listed is refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLString,
)

from manifest_auth import users
from manifest_auth.context import Context, UserCaller
from manifest_auth.errors import Forbidden, ValidationError
from manifest_auth.permissions import Permission, Role, permission_names, permissions_of, roles_of

LIST_LIMIT = 100
DEFAULT_FIRST = 50
SEARCH_LIMIT = 200
Info = GraphQLResolveInfo[Context]

#: The permission of each field at the root; None: any signed-in user.
NEEDS: dict[str, Permission | None] = {"me": None, "users": Permission.USERS_READ}

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


def _role(role: Role) -> dict[str, Any]:
    return {"id": list(Role).index(role) + 1, "name": role.value, "description": _DESCRIPTIONS[role]}


_ROLE = {role: _role(role) for role in Role}


def _text(description: str) -> GraphQLField:
    return GraphQLField(GraphQLNonNull(GraphQLString), description=description)


_RoleType = GraphQLObjectType(
    "Role",
    {
        "id": GraphQLField(GraphQLNonNull(GraphQLInt), description="Number of the role."),
        "name": _text("Name, like `User Admin`."),
        "description": _text("What it is for."),
    },
    description="One of the seven roles.",
)

_PERSON_FIELDS = {
    "id": GraphQLField(GraphQLNonNull(GraphQLInt), description="Number of the user, never reused."),
    "email": _text("E-mail address, unique within the client."),
    "firstName": _text("First name."),
    "lastName": _text("Last name."),
    "title": _text("Job title."),
    "roles": GraphQLField(
        GraphQLNonNull(GraphQLList(GraphQLNonNull(_RoleType))),
        resolve=lambda person, _info: [_ROLE[role] for role in roles_of(person.roles)],
        description="Roles, which add up.",
    ),
}

_User = GraphQLObjectType("User", _PERSON_FIELDS, description="A person of the client.")

_Client = GraphQLObjectType(
    "Client",
    {
        "id": GraphQLField(GraphQLNonNull(GraphQLInt), description="Number of the client."),
        "identifier": _text("Short name, as in `X-Client-ID`."),
        "name": _text("Full name."),
    },
    description="The organisation that a user belongs to.",
)

_Me = GraphQLObjectType(
    "Me",
    {
        **_PERSON_FIELDS,
        "permissions": GraphQLField(
            GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLString))),
            resolve=lambda person, _info: permission_names(person.roles),
            description="What the roles allow, like `templates:edit`.",
        ),
        "client": GraphQLField(
            GraphQLNonNull(_Client),
            resolve=lambda _person, info: _client(info.context.user),
            description="The client of this session.",
        ),
    },
    description="The signed-in user.",
)


def _client(caller: UserCaller) -> dict[str, Any]:
    return {"id": caller.tenant_id, "identifier": caller.client, "name": caller.client_name}


def require(ctx: Context, field: str) -> None:
    """Raises Forbidden when the caller's roles do not allow the field."""
    needed = NEEDS.get(field, Permission.USERS_MANAGE)
    if needed is not None and needed not in permissions_of(ctx.user.roles):
        raise Forbidden(reason=f"needs {needed.value}")


def _me(_root: Any, info: Info) -> Person:
    require(info.context, "me")
    u = info.context.user
    return Person(u.user_id, u.email, u.first_name, u.last_name, u.title, u.roles)


async def _users(
    _root: Any, info: Info, first: int | None = None, after: int | None = None, search: str | None = None
) -> list[Person]:
    """An argument that is null counts as left out: clients send nulls for variables that they did not set."""
    ctx: Context = info.context
    require(ctx, "users")
    first, after, search = DEFAULT_FIRST if first is None else first, after or 0, search or ""
    if not 1 <= first <= LIST_LIMIT:
        raise ValidationError(details=[("first", f"Must be 1 to {LIST_LIMIT}")])
    if after < 0:
        raise ValidationError(details=[("after", "Must not be negative")])
    if len(search) > SEARCH_LIMIT or "\0" in search:
        raise ValidationError(details=[("search", f"At most {SEARCH_LIMIT} characters, without NUL")])
    found = await ctx.store.read(lambda unit: users.list_page(unit, after, first, search))
    return [Person(u.id, u.email, u.first_name, u.last_name, u.title, u.roles) for u in found]


SCHEMA = GraphQLSchema(
    GraphQLObjectType(
        "Query",
        {
            "me": GraphQLField(GraphQLNonNull(_Me), resolve=_me, description="Who is signed in. Any role."),
            "users": GraphQLField(
                GraphQLNonNull(GraphQLList(GraphQLNonNull(_User))),
                args={
                    "first": GraphQLArgument(GraphQLInt, DEFAULT_FIRST, description=f"How many, 1 to {LIST_LIMIT}."),
                    "after": GraphQLArgument(GraphQLInt, 0, description="Only users whose id is greater."),
                    "search": GraphQLArgument(GraphQLString, "", description="Only users whose name or e-mail has it."),
                },
                resolve=_users,
                description="The directory of the client, by id. Needs `users:read`.",
            ),
        },
        description="Everything is inside the client of the signed-in user.",
    )
)
