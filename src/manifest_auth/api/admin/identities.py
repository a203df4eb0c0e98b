"""Identities and invitations of a client's users, for system admins and for the client's own Admin and User Admin.

Both open or close a way into the account, so only an Admin (or a system admin) does that to an Admin's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from manifest_auth import accounts, providers
from manifest_auth.accounts import users
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.client.identities import IdentityData, Unlinked
from manifest_auth.errors import Conflict, NotFound, RateLimited
from manifest_auth.http import Access, Call, Items, Page, Route, Time, Wire
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import identities
from manifest_auth.store import Filters, TenantUnit


class InvitationData(Wire, frozen=True):
    """``link``: where the user chooses a first password or a provider; ``token``: the same, for the address that begins
    a sign-in at a provider, as ``invitation=``. Shown once; both null wherever mail is set up. ``sent``: whether the
    mail server took the e-mail with the link; one that it did not take is tried again for an hour."""

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
        Meta(description="Only those that came to be linked so."),
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
    return InvitationData.of(await accounts.hand_over(ctx, tools, made))


def _routes(base: str, access: Access) -> tuple[Route, ...]:
    return (
        Route("GET", f"{base}/identities", _list, access, "A user's identities at providers", query=IdentitiesQuery,
              refusals=(NotFound,)),
        Route("DELETE", f"{base}/identities/{{identity}}", _unlink, access,
              "Unlink an identity from a user; ends the user's sessions", refusals=(NotFound,)),
        Route("POST", f"{base}/identities/{{identity}}/confirm", _confirm, access,
              "Say as an Admin that an identity is the user's: it stays when the user becomes an Admin, and its groups "
              "may give that role", refusals=(NotFound,)),
        Route("POST", f"{base}/invitation", _invite, access,
              "Invite somebody to come into the account, by a first password or a provider", status=201,
              refusals=(NotFound, Conflict, RateLimited)),
    )  # fmt: skip


ROUTES = client_scope.both(_routes, "/users/{user}", Permission.USERS_MANAGE)
