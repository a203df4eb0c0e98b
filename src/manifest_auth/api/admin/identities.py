"""Identities and invitations of a client's users, for system admins and for the client's own Admin and User Admin.

Both open or close a way into the account, so only an Admin (or a system admin) does that to an Admin's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth import accounts, audit, providers, sessions
from manifest_auth.accounts import users
from manifest_auth.api.admin import lists
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.api.admin.providers import client_of
from manifest_auth.api.client.identities import IdentityData, Unlinked, wire
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, NotFound, RateLimited
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.permissions import Permission
from manifest_auth.providers import IdentityRow
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.store import SystemUnit
from manifest_auth.text.canonical import when


class InvitationData(msgspec.Struct, frozen=True, rename="camel"):
    """``link``: where the user chooses a first password or a provider; ``token``: the same, for the address that begins
    a sign-in at a provider, as ``invitation=``. Shown once; both null wherever mail is set up. ``sent``: whether the
    mail server took the e-mail with the link; one that it did not take is tried again for an hour."""

    token: str | None
    link: str | None
    sent: bool
    expires_at: str


class Confirmed(msgspec.Struct, frozen=True):
    pass


class IdentitiesQuery(msgspec.Struct, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC", "CREATED", "CREATED_DESC"], Meta(description="Order.")] = "ID"
    how: Annotated[
        Literal["", "created", "created-unvouched", "invitation", "consent", "directory", "domain"],
        Meta(description="Only those that came to be linked so."),
    ] = ""


class UserIdentitiesData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[IdentityData, ...]
    next_cursor: str | None


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: SystemUnit) -> lists.Rows[IdentityRow]:
        bound, _ = client_of(unit, ctx, call)
        user = users.get(bound, call.id("user"))
        return lists.read(
            bound,
            providers.IDENTITIES,
            Asked(page.first, page.after, asked.sort),
            Filters("how" if asked.how else None, of_user=user.id, of_how=asked.how).search(page.q),
            value_of=lambda row, _sort: row.created_at,
        )

    found = await ctx.services.store.read(work)
    return ok({**wire(found.items), "nextCursor": found.next_cursor})


async def _unlink(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> None:
        bound, _ = client_of(unit, ctx, call)
        user = accounts.managed(bound, ctx, call.id("user"))
        group_roles.unlink(bound, ctx, user.id, call.id("identity"))
        providers.drop_tokens(bound, user.id)
        ended = sessions.end_all(bound, user.id, "identity_unlinked", ctx.now)
        detail = {"identity": call.id("identity"), "sessions_ended": ended}
        audit.record(bound, ctx, Event.IDENTITY_UNLINKED, f"user:{user.id}", **detail)

    await ctx.services.store.write(work)
    return ok({})


async def _confirm(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> None:
        bound, _ = client_of(unit, ctx, call)
        user = accounts.managed(bound, ctx, call.id("user"), own="Nobody confirms an identity of their own")
        accounts.check_is_admin(bound, ctx, "Only an Admin confirms an identity")
        providers.confirm(bound, user.id, call.id("identity"), ctx.caller.actor, ctx.now)
        audit.record(bound, ctx, Event.IDENTITY_CONFIRMED, f"user:{user.id}", identity=call.id("identity"))

    await ctx.services.store.write(work)
    return ok({})


async def _invite(ctx: RequestContext, call: Call[None]) -> Answer:
    user_id = call.id("user")

    def work(unit: SystemUnit) -> accounts.Made:
        bound, _ = client_of(unit, ctx, call)
        return accounts.invite(bound, ctx, ctx.services.account_tools, user_id)

    handed = await accounts.hand_over(ctx, ctx.services.account_tools, await ctx.services.store.write(work))
    data = {"token": handed.token, "link": handed.link, "sent": handed.sent, "expiresAt": when(handed.expires_at)}
    return ok(data, status=201)


def _routes(base: str, access: Access, permission: Permission | None) -> tuple[Route, ...]:
    may: dict[str, Any] = {"permission": permission}
    return (
        Route("GET", f"{base}/identities", _list, access, "A user's identities at providers", None,
              UserIdentitiesData, paged=True, query=IdentitiesQuery, refusals=(NotFound,), **may),
        Route("DELETE", f"{base}/identities/{{identity}}", _unlink, access,
              "Unlink an identity from a user; ends the user's sessions", None, Unlinked, refusals=(NotFound,), **may),
        Route("POST", f"{base}/identities/{{identity}}/confirm", _confirm, access,
              "Say as an Admin that an identity is the user's: it stays when the user becomes an Admin, and its groups "
              "may give that role", None, Confirmed, refusals=(NotFound,), **may),
        Route("POST", f"{base}/invitation", _invite, access,
              "Invite somebody to come into the account, by a first password or a provider", None, InvitationData,
              status=201, refusals=(NotFound, Conflict, RateLimited), **may),
    )  # fmt: skip


ROUTES = (
    *_routes("/api/admin/clients/{client}/users/{user}", Access.ADMIN, None),
    *_routes("/api/client/users/{user}", Access.CLIENT, Permission.USERS_MANAGE),
)
