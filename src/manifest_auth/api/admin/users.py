"""``/api/admin/clients/{client}/users``: system admins create, find, change and deactivate a client's users.

Everything after the client was found runs in a unit of work that is bound to it, so a user of another client is
``NOT_FOUND``, exactly like one that never existed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import accounts, tenants
from manifest_auth.accounts import Admitted, Draft, password_rules, users
from manifest_auth.accounts.users import User
from manifest_auth.api.admin import lists
from manifest_auth.api.admin.clients import by_name
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.errors import Conflict, LicenseExpired, LicenseRequired, NotFound, Overloaded, RateLimited
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.permissions import Role, mask_of, role_names
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text.canonical import email_key, when

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
    """``emailProvedAt``: since when the address is known to be the user's: a link was followed from its mailbox.
    ``pendingEmail``: another address, which waits until its mailbox confirms it."""

    id: int
    email: str
    email_proved_at: str | None
    pending_email: str | None
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
    """``link``: with which the user chooses a new password; null wherever mail is set up. ``sent``: whether the mail
    server took the e-mail with the link; one that it did not take is tried again for an hour."""

    link: str | None
    sent: bool
    expires_at: str


class EndedSessions(msgspec.Struct, frozen=True):
    ended: int


def wire(user: User, pending_email: str | None = None) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "emailProvedAt": when(user.email_proved_at) if user.email_proved_at else None,
        "pendingEmail": pending_email,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "title": user.title,
        "roles": role_names(user.roles),
        "hasPassword": user.password_hash is not None,
        "createdAt": when(user.created_at),
        "deactivatedAt": when(user.deactivated_at) if user.deactivated_at else None,
        "lastSignInAt": when(user.last_sign_in_at) if user.last_sign_in_at else None,
    }


def _shown(unit: TenantUnit, ctx: RequestContext, found: Sequence[User]) -> list[dict[str, Any]]:
    """Users as JSON, with the addresses that wait to be confirmed."""
    pending = users.email_changes.pending_of(unit, [user.id for user in found], ctx.now)
    return [wire(user, pending.get(user.id)) for user in found]


async def _create(ctx: RequestContext, call: Call[UserBody]) -> Answer:
    body, services = call.body, ctx.services
    tenant = await services.store.read(lambda unit: by_name(unit, call.path["client"]))
    stored = await password_rules.first_hash(
        services.hasher,
        None if body.password is UNSET else str(body.password),
        None if body.password_hash is UNSET else str(body.password_hash),
        tenants.settings_of(tenant.settings).password,
        (body.email, body.first_name, body.last_name, tenant.identifier),
    )
    draft = Draft(body.email, mask_of(body.roles), body.first_name, body.last_name, body.title)
    return ok(
        wire(
            await services.store.of(tenant.id).write(
                lambda unit: accounts.add(unit, ctx, ctx.services.account_tools, draft, stored)
            )
        ),
        status=201,
    )


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: SystemUnit) -> dict[str, Any]:
        bound = unit.of(by_name(unit, call.path["client"]).id)
        role = Role(asked.role).bit if asked.role else 0
        rows = lists.read(
            bound,
            users.LISTING,
            Asked(page.first, page.after, asked.sort),
            Filters(asked.state, "role" if role else None, role=role).search(page.q),
            value_of=lambda user, sort: email_key(user.email) if sort == "EMAIL" else user.last_name,
        )
        return {"items": _shown(bound, ctx, rows.items), "nextCursor": rows.next_cursor}

    return ok(await ctx.services.store.read(work))


async def _get(ctx: RequestContext, call: Call[None]) -> Answer:
    user_id = call.id("user")

    def work(unit: SystemUnit) -> dict[str, Any]:
        bound = unit.of(by_name(unit, call.path["client"]).id)
        return _shown(bound, ctx, [users.get(bound, user_id)])[0]

    return ok(await ctx.services.store.read(work))


async def _on_user(ctx: RequestContext, call: Call[Any], act: Callable[[TenantUnit, int], T]) -> T:
    """Runs ``act`` on the user of the path, in one transaction of the client of the path."""
    user_id = call.id("user")
    return await ctx.services.store.write(lambda unit: act(unit.of(by_name(unit, call.path["client"]).id), user_id))


async def _answer(ctx: RequestContext, call: Call[Any], act: Callable[[TenantUnit, int], User]) -> Answer:
    """As :func:`_on_user`; answers with the user as it is afterwards."""
    return ok(await _on_user(ctx, call, lambda unit, user_id: _shown(unit, ctx, [act(unit, user_id)])[0]))


async def _change(ctx: RequestContext, call: Call[UserChange]) -> Answer:
    body = call.body
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}

    def act(unit: TenantUnit, user_id: int) -> tuple[dict[str, Any], accounts.Changed]:
        changed = accounts.change(unit, ctx, ctx.services.account_tools, user_id, given)
        return _shown(unit, ctx, [changed.user])[0], changed

    shown, changed = await _on_user(ctx, call, act)
    ctx.services.mail_queue.send_soon(ctx.request_id, *changed.mails)
    return ok(shown)


async def _admit(ctx: RequestContext, call: Call[Any], act: Callable[[TenantUnit, int], Admitted]) -> Answer:
    """Does what may make somebody an Admin, and hands the link over that one may need."""

    def work(unit: TenantUnit, user_id: int) -> tuple[dict[str, Any], accounts.Made | None]:
        admitted = act(unit, user_id)
        return _shown(unit, ctx, [admitted.user])[0], admitted.made

    shown, made = await _on_user(ctx, call, work)
    link = (await accounts.hand_over(ctx, ctx.services.account_tools, made)).link if made is not None else None
    return ok({**shown, "link": link})


async def _set_roles(ctx: RequestContext, call: Call[RolesBody]) -> Answer:
    roles = mask_of(call.body.roles)
    return await _admit(
        ctx, call, lambda unit, user: accounts.set_roles(unit, ctx, ctx.services.account_tools, user, roles)
    )


async def _deactivate(ctx: RequestContext, call: Call[None]) -> Answer:
    return await _answer(ctx, call, lambda unit, user: accounts.deactivate(unit, ctx, user))


async def _restore(ctx: RequestContext, call: Call[None]) -> Answer:
    return await _admit(ctx, call, lambda unit, user: accounts.restore(unit, ctx, ctx.services.account_tools, user))


async def _end_sessions(ctx: RequestContext, call: Call[None]) -> Answer:
    ended = await _on_user(ctx, call, lambda unit, user: accounts.end_sessions(unit, ctx, user))
    return ok({"ended": ended})


async def _reset(ctx: RequestContext, call: Call[None]) -> Answer:
    user_id = call.id("user")

    def work(unit: SystemUnit) -> accounts.Made:
        tenant = by_name(unit, call.path["client"])
        by_password = tenants.settings_of(tenant.settings).password_sign_in
        return accounts.start_reset(
            unit.of(tenant.id), ctx, ctx.services.account_tools, user_id, by_password=by_password
        )

    handed = await accounts.hand_over(ctx, ctx.services.account_tools, await ctx.services.store.write(work))
    return ok({"link": handed.link, "sent": handed.sent, "expiresAt": when(handed.expires_at)}, status=201)


_BASE = "/api/admin/clients/{client}/users"
_ONE = f"{_BASE}/{{user}}"
_SEATS = (LicenseRequired, LicenseExpired)  # on premise: whoever needs a seat needs a licence in force
ROUTES = (
    Route("POST", _BASE, _create, Access.ADMIN, "Create a user of a client", UserBody, UserData, status=201,
          refusals=(NotFound, Conflict, Overloaded, *_SEATS)),
    Route("GET", _BASE, _list, Access.ADMIN, "List and search a client's users", None, UsersData, paged=True,
          query=UsersQuery, refusals=(NotFound,)),
    Route("GET", _ONE, _get, Access.ADMIN, "One user of a client", None, UserData, refusals=(NotFound,)),
    Route("PATCH", _ONE, _change, Access.ADMIN, "Change a user's names or address", UserChange, UserData,
          refusals=(NotFound, Conflict, RateLimited)),
    Route("PUT", f"{_ONE}/roles", _set_roles, Access.ADMIN, "Set a user's roles", RolesBody, AdmittedData,
          refusals=(NotFound, Conflict, *_SEATS)),
    Route("POST", f"{_ONE}/deactivate", _deactivate, Access.ADMIN, "Deactivate a user and end all sessions",
          None, UserData, refusals=(NotFound, Conflict)),
    Route("POST", f"{_ONE}/restore", _restore, Access.ADMIN, "Let a deactivated user in again", None, AdmittedData,
          refusals=(NotFound, Conflict, *_SEATS)),
    Route("POST", f"{_ONE}/password-reset", _reset, Access.ADMIN, "A one-time link for a user who needs a new password",
          None, ResetData, status=201, refusals=(NotFound, Conflict, RateLimited)),
    Route("DELETE", f"{_ONE}/sessions", _end_sessions, Access.ADMIN, "End all sessions of a user", None, EndedSessions,
          refusals=(NotFound,)),
)  # fmt: skip
