"""``/api/client/auth/identities``: the caller's identities at providers, and linking another one by consent.

Linking starts with a signed-in POST, which the cross-site check protects. A GET address could be sent to a victim, who
would link the attacker's identity to their own account by opening it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import providers, tenants
from manifest_auth.api.client.single_sign_on import set_flow_cookie
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    NotFound,
    ProviderUnavailable,
    SsoFailed,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, Time, Wire, ok
from manifest_auth.providers.sign_in_flows import FlowRequest
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import identities
from manifest_auth.sign_in.providers import entra_verify
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice, return_address
from manifest_auth.store import SystemUnit


class LinkBody(msgspec.Struct, frozen=True, rename="camel"):
    provider: Annotated[str, Meta(min_length=1, max_length=63)]
    return_to: Annotated[str, Meta(max_length=2000)] = ""


class TokenBody(msgspec.Struct, frozen=True):
    """``token``: an Entra ID access token of the person who is to be linked."""

    provider: Annotated[str, Meta(min_length=1, max_length=63)]
    token: Annotated[str, Meta(min_length=1, max_length=16 * 1024)]


class LinkData(Wire, frozen=True):
    location: str


class IdentityData(Wire, frozen=True):
    """``vouched``: at the last sign-in, the provider sent ``email`` as verified and listed its domain. ``confirmedBy``:
    the Admin who confirmed that the identity is the user's, as in the audit trail."""

    id: int
    provider: str
    display_name: str
    kind: str
    subject: str
    email: str
    how: str
    vouched: bool
    confirmed_at: Time | None
    confirmed_by: str | None
    created_at: Time
    last_sign_in_at: Time


class IdentitiesData(Wire, frozen=True):
    items: tuple[IdentityData, ...]


class Unlinked(Wire, frozen=True): ...


class Linked(Wire, frozen=True): ...


async def _list(ctx: RequestContext, call: Call[None]) -> IdentitiesData:
    rows = await ctx.store.read(lambda unit: providers.list_identities(unit, ctx.user.user_id))
    return IdentitiesData(tuple(IdentityData.of(row) for row in rows))


async def _link(ctx: RequestContext, call: Call[LinkBody]) -> Answer[LinkData]:
    user = ctx.user

    def work(unit: SystemUnit) -> ProviderChoice:
        provider = providers.get(unit.of(user.tenant_id), call.body.provider)
        if provider.disabled_at is not None:
            raise SsoFailed("This way to sign in is switched off", reason="provider is switched off")
        tenant = tenants.get(unit, user.tenant_id)
        address = return_address(tenant, provider, call.body.return_to, roles=user.roles)
        return ProviderChoice(tenant, provider, FlowRequest(address, link_session_id=user.session_id))

    chosen = await ctx.services.store.read(work)
    kind = KINDS[chosen.provider.kind]
    if not kind.start:
        raise Conflict("This provider has no sign-in page")
    beginning = await kind.begin(ctx, chosen, "")
    return ok(LinkData(beginning.address), headers=(set_flow_cookie(ctx, beginning.begun, cross_site=kind.cross_site),))


async def _link_by_token(ctx: RequestContext, call: Call[TokenBody]) -> Linked:
    await entra_verify.link(ctx, call.body.provider, call.body.token)
    return Linked()


async def _unlink(ctx: RequestContext, call: Call[None]) -> Unlinked:
    await ctx.store.write(lambda unit: identities.unlink_own(unit, ctx, call.id()))
    return Unlinked()


_BASE = "/api/client/auth/identities"
ROUTES = (
    Route("GET", _BASE, _list, Access.CLIENT, "Your identities at providers"),
    Route("POST", _BASE, _link, Access.CLIENT, "Link another identity to your account: the address to send the "
                                               "browser to",
          limit=AUTH_LIMIT, refusals=(ValidationError, NotFound, Conflict, SsoFailed, ProviderUnavailable)),
    Route("POST", f"{_BASE}/token", _link_by_token, Access.CLIENT, "Link the person of an Entra ID token to your "
                                                                   "account",
          limit=AUTH_LIMIT,
          refusals=(ValidationError, NotFound, Conflict, SsoFailed, AccountDisabled, ProviderUnavailable)),
    Route("DELETE", f"{_BASE}/{{id}}", _unlink, Access.CLIENT, "Unlink one of your identities",
          limit=AUTH_LIMIT, refusals=(NotFound, Conflict)),
)  # fmt: skip
