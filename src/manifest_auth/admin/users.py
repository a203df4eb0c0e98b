"""``/api/admin/clients/{client}/users``: system admins create, find, change and deactivate a client's users.

Everything after the client was found runs in a unit of work that is bound to it, so a user of another client is
``NOT_FOUND``, exactly like one that never existed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import accounts, passwords, tenants, users
from manifest_auth.accounts import Changed, Draft
from manifest_auth.admin import lists
from manifest_auth.admin.clients import by_name
from manifest_auth.admin.lists import Asked, Filters
from manifest_auth.context import Context
from manifest_auth.errors import Conflict, LicenseExpired, LicenseRequired, NotFound, Overloaded
from manifest_auth.permissions import Role, mask_of, role_names
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text import email_key, when
from manifest_auth.users import User
from manifest_auth.web import Answer, Call, Door, Route, ok

T = TypeVar("T")
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Text = Annotated[str, Meta(max_length=100)]
Roles = Annotated[list[Role], Meta(min_length=1, max_length=7)]


class UserBody(msgspec.Struct, frozen=True, rename="camel"):
    """``password`` and ``passwordHash`` exclude each other; without either the user has no password yet."""

    email: Email
    roles: Roles
    first_name: Text = ""
    last_name: Text = ""
    title: Text = ""
    password: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    password_hash: (
        Annotated[
            str,
            Meta(min_length=1, max_length=512, description="Argon2, bcrypt, PBKDF2 or scrypt hash of another system."),
        ]
        | UnsetType
    ) = UNSET


class UserChange(msgspec.Struct, frozen=True, rename="camel"):
    """Members that are left out stay as they are."""

    email: Email | UnsetType = UNSET
    first_name: Text | UnsetType = UNSET
    last_name: Text | UnsetType = UNSET
    title: Text | UnsetType = UNSET


class RolesBody(msgspec.Struct, frozen=True):
    roles: Roles


class UsersQuery(msgspec.Struct, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[
        Literal["ID", "ID_DESC", "EMAIL", "EMAIL_DESC", "LAST_NAME", "LAST_NAME_DESC"], Meta(description="Order.")
    ] = "ID"
    state: Annotated[Literal["", "active", "inactive"], Meta(description="Only those.")] = ""
    role: Annotated[
        Literal["", "Admin", "User Admin", "Author", "Approver", "Publisher", "Operator", "Viewer"],
        Meta(description="Only those who have it."),
    ] = ""


class UserData(msgspec.Struct, frozen=True, rename="camel"):
    id: int
    email: str
    first_name: str
    last_name: str
    title: str
    roles: tuple[str, ...]
    has_password: bool
    created_at: str
    deactivated_at: str | None
    last_sign_in_at: str | None


class AdmittedData(UserData, frozen=True, rename="camel"):
    """``link``: with which a new Admin comes in, where no proved identity was left; null when it was mailed to the
    user, or nobody became an Admin. Shown once."""

    link: str | None


class UsersData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[UserData, ...]
    next_cursor: str | None


class ResetData(msgspec.Struct, frozen=True, rename="camel"):
    """``link``: with which the user chooses a new password; null when it was mailed to the user."""

    link: str | None
    expires_at: str


class EndedSessions(msgspec.Struct, frozen=True):
    ended: int


def wire(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "title": user.title,
        "roles": role_names(user.roles),
        "hasPassword": user.password_hash is not None,
        "createdAt": when(user.created_at),
        "deactivatedAt": when(user.deactivated_at) if user.deactivated_at else None,
        "lastSignInAt": when(user.last_sign_in_at) if user.last_sign_in_at else None,
    }


async def _create(ctx: Context, call: Call[UserBody]) -> Answer:
    body, house = call.body, ctx.house
    tenant = await house.store.read(lambda unit: by_name(unit, call.path["client"]))
    stored = await passwords.first_hash(
        house.hasher,
        None if body.password is UNSET else str(body.password),
        None if body.password_hash is UNSET else str(body.password_hash),
        tenants.settings_of(tenant.settings).password,
        (body.email, body.first_name, body.last_name, tenant.identifier),
    )
    draft = Draft(body.email, mask_of(body.roles), body.first_name, body.last_name, body.title)
    return ok(
        wire(await house.store.of(tenant.id).write(lambda unit: accounts.add(unit, ctx, draft, stored))), status=201
    )


async def _list(ctx: Context, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: SystemUnit) -> lists.Rows[User]:
        bound = unit.of(by_name(unit, call.path["client"]).id)
        role = Role(asked.role).bit if asked.role else 0
        return lists.read(
            bound,
            users.LISTING,
            Asked(page.first, page.after, asked.sort),
            Filters(asked.state, "role" if role else None, role=role).search(page.q),
            value_of=lambda user, sort: email_key(user.email) if sort == "EMAIL" else user.last_name,
        )

    found = await ctx.house.store.read(work)
    return ok({"items": [wire(u) for u in found.items], "nextCursor": found.next_cursor})


async def _get(ctx: Context, call: Call[None]) -> Answer:
    user_id = call.id("user")
    found = await ctx.house.store.read(lambda unit: users.get(unit.of(by_name(unit, call.path["client"]).id), user_id))
    return ok(wire(found))


async def _on_user(ctx: Context, call: Call[Any], act: Callable[[TenantUnit, int], T]) -> T:
    """Runs ``act`` on the user of the path, in one transaction of the client of the path."""
    user_id = call.id("user")
    return await ctx.house.store.write(lambda unit: act(unit.of(by_name(unit, call.path["client"]).id), user_id))


async def _change(ctx: Context, call: Call[UserChange]) -> Answer:
    body = call.body
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    return ok(wire(await _on_user(ctx, call, lambda unit, user: accounts.change(unit, ctx, user, given))))


async def _admit(ctx: Context, call: Call[Any], act: Callable[[TenantUnit, int], Changed]) -> Answer:
    """Does what may make somebody an Admin, and hands the link over that one may need."""
    changed = await _on_user(ctx, call, act)
    link = None
    if changed.made is not None:
        tenant = await ctx.house.store.read(lambda unit: by_name(unit, call.path["client"]))
        link = (await accounts.hand_over(ctx, changed.made, tenant.name)).link
    return ok({**wire(changed.user), "link": link})


async def _set_roles(ctx: Context, call: Call[RolesBody]) -> Answer:
    roles = mask_of(call.body.roles)
    return await _admit(ctx, call, lambda unit, user: accounts.set_roles(unit, ctx, user, roles))


async def _deactivate(ctx: Context, call: Call[None]) -> Answer:
    return ok(wire(await _on_user(ctx, call, lambda unit, user: accounts.deactivate(unit, ctx, user))))


async def _restore(ctx: Context, call: Call[None]) -> Answer:
    return await _admit(ctx, call, lambda unit, user: accounts.restore(unit, ctx, user))


async def _end_sessions(ctx: Context, call: Call[None]) -> Answer:
    ended = await _on_user(ctx, call, lambda unit, user: accounts.end_sessions(unit, ctx, user))
    return ok({"ended": ended})


async def _reset(ctx: Context, call: Call[None]) -> Answer:
    user_id = call.id("user")

    def work(unit: SystemUnit) -> tuple[accounts.Made, str]:
        tenant = by_name(unit, call.path["client"])
        by_password = tenants.settings_of(tenant.settings).password_sign_in
        return accounts.start_reset(unit.of(tenant.id), ctx, user_id, by_password=by_password), tenant.name

    made, client = await ctx.house.store.write(work)
    handed = await accounts.hand_over(ctx, made, client)
    return ok({"link": handed.link, "expiresAt": when(handed.expires_at)}, status=201)


_BASE = "/api/admin/clients/{client}/users"
_ONE = f"{_BASE}/{{user}}"
_SEATS = (LicenseRequired, LicenseExpired)  # on premise: whoever needs a seat needs a licence in force
ROUTES = (
    Route("POST", _BASE, _create, Door.ADMIN, "Create a user of a client", UserBody, UserData, status=201,
          refusals=(NotFound, Conflict, Overloaded, *_SEATS)),
    Route("GET", _BASE, _list, Door.ADMIN, "List and search a client's users", None, UsersData, paged=True,
          query=UsersQuery, refusals=(NotFound,)),
    Route("GET", _ONE, _get, Door.ADMIN, "One user of a client", None, UserData, refusals=(NotFound,)),
    Route("PATCH", _ONE, _change, Door.ADMIN, "Change a user's names or address", UserChange, UserData,
          refusals=(NotFound, Conflict)),
    Route("PUT", f"{_ONE}/roles", _set_roles, Door.ADMIN, "Set a user's roles", RolesBody, AdmittedData,
          refusals=(NotFound, Conflict, *_SEATS)),
    Route("POST", f"{_ONE}/deactivate", _deactivate, Door.ADMIN, "Deactivate a user and end all sessions",
          None, UserData, refusals=(NotFound, Conflict)),
    Route("POST", f"{_ONE}/restore", _restore, Door.ADMIN, "Let a deactivated user in again", None, AdmittedData,
          refusals=(NotFound, Conflict, *_SEATS)),
    Route("POST", f"{_ONE}/password-reset", _reset, Door.ADMIN, "A one-time link for a user who needs a new password",
          None, ResetData, status=201, refusals=(NotFound, Conflict)),
    Route("DELETE", f"{_ONE}/sessions", _end_sessions, Door.ADMIN, "End all sessions of a user", None, EndedSessions,
          refusals=(NotFound,)),
)  # fmt: skip
