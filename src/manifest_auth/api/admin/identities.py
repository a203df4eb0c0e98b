"""Identities, invitations and reset factors of a client's users, for system admins and the client's own managers.

All can give access to the account, so only an Admin or a system admin changes them for an Admin's account.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth import accounts, providers
from manifest_auth.accounts import users
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.client.identities import IdentityData, Unlinked
from manifest_auth.errors import Conflict, NotFound, RateLimited, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Items, Page, Route, Time, Wire
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import identities
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text import fields


class FactorResetBody(msgspec.Struct, frozen=True):
    reason: Annotated[str, fields.REASON.meta]


class FactorResetData(Wire, frozen=True):
    """``factors``: how many were taken away; ``sessions``: how many ended."""

    factors: int
    sessions: int


class InvitationData(Wire, frozen=True):
    """``link``: where the user chooses a first password or a provider; ``token``: the same, as ``invitation=`` for the
    address that starts a sign-in at a provider. Returned once; both null where mail is set up. ``sent``: whether the
    mail server accepted the e-mail with the link; delivery is retried for an hour."""

    token: str | None
    link: str | None
    sent: bool
    expires_at: Time


class Confirmed(Wire, frozen=True): ...


class IdentitiesQuery(Page, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC", "CREATED", "CREATED_DESC"], Meta(description="Order.")] = "ID"
    how: Annotated[
        Literal["", "created", "created-unvouched", "invitation", "consent", "directory", "domain"],
        Meta(description="Only identities that were linked in this way."),
    ] = ""


class UserIdentitiesData(Items[IdentityData], frozen=True): ...


async def _list(ctx: RequestContext, call: Call[None]) -> UserIdentitiesData:
    asked: IdentitiesQuery = call.parameters

    def work(unit: TenantUnit) -> UserIdentitiesData:
        user = users.get(unit, call.id("user"))
        filters = Filters("how" if asked.how else None, of_user=user.id, of_how=asked.how).search(asked.q)
        return lists.page(UserIdentitiesData, IdentityData.of, unit, providers.IDENTITIES, asked, filters)

    return await client_scope.read(ctx, call, work)


async def _unlink(ctx: RequestContext, call: Call[None]) -> Unlinked:
    await client_scope.write(ctx, call, lambda unit: identities.unlink(unit, ctx, call.id("user"), call.id("identity")))
    return Unlinked()


async def _confirm(ctx: RequestContext, call: Call[None]) -> Confirmed:
    await client_scope.write(
        ctx, call, lambda unit: identities.confirm(unit, ctx, call.id("user"), call.id("identity"))
    )
    return Confirmed()


async def _invite(ctx: RequestContext, call: Call[None]) -> InvitationData:
    user_id, tools = call.id("user"), ctx.services.account_tools
    made = await client_scope.write(ctx, call, lambda unit: accounts.invite(unit, ctx, tools, user_id))
    return InvitationData.of(await accounts.deliver_link(ctx, tools, made))


async def _reset_factors(ctx: RequestContext, call: Call[FactorResetBody]) -> FactorResetData:
    tools, user_id, reason = ctx.services.account_tools, call.id("user"), call.body.reason
    done = await client_scope.write(ctx, call, lambda unit: accounts.reset_factors(unit, ctx, tools, user_id, reason))
    return FactorResetData(done.factors, done.sessions)


def _routes(base: str, access: Access) -> tuple[Route, ...]:
    return (
        Route("GET", f"{base}/identities", _list, access, "A user's identities at providers", query=IdentitiesQuery,
              refusals=(NotFound,)),
        Route("DELETE", f"{base}/identities/{{identity}}", _unlink, access,
              "Unlink an identity from a user; ends the user's sessions", refusals=(NotFound,)),
        Route("POST", f"{base}/identities/{{identity}}/confirm", _confirm, access,
              "Confirm as an Admin that an identity is the user's, so that its groups may grant the role Admin",
              refusals=(NotFound,)),
        Route("POST", f"{base}/invitation", _invite, access,
              "Invite the user to sign in with a first password or a provider", status=201,
              refusals=(NotFound, Conflict, RateLimited),
              operation="adminInviteClientUser" if access is Access.ADMIN else "inviteUser"),
        Route("POST", f"{base}/factors/reset", _reset_factors, access,
              "Take a user's second factors away; all of the user's sessions end",
              limit=AUTH_LIMIT, refusals=(NotFound, ValidationError)),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/users/{user}", Permission.USERS_MANAGE)
