"""Identities and invitations of a client's users, for system admins and for the client's own Admin and User Admin.

An invitation lets whoever holds it claim the account with an identity of a provider. So only an Admin (or a system
admin) invites to an Admin's account, or unlinks it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import audit, providers, sessions, users
from manifest_auth.admin.providers import client_of, is_admin
from manifest_auth.audit import Event
from manifest_auth.context import Context
from manifest_auth.errors import Conflict, Forbidden, NotFound
from manifest_auth.permissions import Permission, Role
from manifest_auth.providers import IdentityRow
from manifest_auth.sign_in import granting
from manifest_auth.sign_in.identity_routes import IdentitiesData, Unlinked, wire
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text import when
from manifest_auth.users import User
from manifest_auth.web import Answer, Call, Door, Route, ok


class InvitationData(msgspec.Struct, frozen=True, rename="camel"):
    """``token``: for the address that begins a sign-in, as ``invitation=``. Shown once."""

    token: str
    expires_at: str


def _user(unit: TenantUnit, ctx: Context, call: Call[Any]) -> User:
    """The user of the path, whom the caller may manage."""
    user = users.get(unit, call.id("user"), lock=True)
    if user.roles & Role.ADMIN.bit and not is_admin(ctx):
        raise Forbidden(reason="an Admin's account is managed by an Admin")
    return user


async def _list(ctx: Context, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> list[IdentityRow]:
        bound, _ = client_of(unit, ctx, call)
        return providers.list_identities(bound, users.get(bound, call.id("user")).id)

    return ok(wire(await ctx.house.store.read(work)))


async def _unlink(ctx: Context, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> None:
        bound, _ = client_of(unit, ctx, call)
        user = _user(bound, ctx, call)
        granting.unlink(bound, ctx, user.id, call.id("identity"))
        providers.drop_tokens(bound, user.id)
        ended = sessions.end_all(bound, user.id, "identity_unlinked", ctx.now)
        detail = {"identity": call.id("identity"), "sessions_ended": ended}
        audit.record(bound, ctx, Event.IDENTITY_UNLINKED, f"user:{user.id}", **detail)

    await ctx.house.store.write(work)
    return ok({})


async def _invite(ctx: Context, call: Call[None]) -> Answer:
    token = ctx.house.random.text(24)

    def work(unit: SystemUnit) -> int:
        bound, _ = client_of(unit, ctx, call)
        user = _user(bound, ctx, call)
        if user.deactivated_at is not None:
            raise Conflict("The user is deactivated")
        expires_at = providers.invite(bound, user.id, token, ctx.caller.actor, ctx.now)
        audit.record(bound, ctx, Event.USER_INVITED, f"user:{user.id}", expires=when(expires_at))
        return expires_at

    return ok({"token": token, "expiresAt": when(await ctx.house.store.write(work))}, status=201)


def _routes(base: str, door: Door, permission: Permission | None) -> tuple[Route, ...]:
    may: dict[str, Any] = {"permission": permission}
    return (
        Route("GET", f"{base}/identities", _list, door, "A user's identities at providers", None, IdentitiesData,
              refusals=(NotFound,), **may),
        Route("DELETE", f"{base}/identities/{{identity}}", _unlink, door,
              "Unlink an identity from a user; ends the user's sessions", None, Unlinked, refusals=(NotFound,), **may),
        Route("POST", f"{base}/invitation", _invite, door, "Invite somebody to claim the account through a provider",
              None, InvitationData, status=201, refusals=(NotFound, Conflict), **may),
    )  # fmt: skip


ROUTES = (
    *_routes("/api/admin/clients/{client}/users/{user}", Door.ADMIN, None),
    *_routes("/api/client/users/{user}", Door.CLIENT, Permission.USERS_MANAGE),
)
