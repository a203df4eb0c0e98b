"""One-time links: their page, what each link allows, and setting a password with one."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.accounts.password_rules import MOST
from manifest_auth.api.client.auth import Nothing, OneTimeLinkBody, Token
from manifest_auth.api.client.identities import LinkData
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidToken,
    MfaRequired,
    NotFound,
    Overloaded,
    ProviderUnavailable,
    RateLimited,
    SsoFailed,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, Time, Wire, ok, page
from manifest_auth.http.cookies import browser_of
from manifest_auth.http.sign_in_answer import SignInData, set_flow_cookie, signed_in_answer
from manifest_auth.permissions import Role
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import email_change, refusal_reasons, set_password
from manifest_auth.sign_in.password import Claim
from manifest_auth.sign_in.providers import saml_requests
from manifest_auth.sign_in.providers.kinds import KINDS, NO_PROVIDER, StartRequest, choose, start_address
from manifest_auth.sign_in.set_password import OpenLink
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import StoredSettings, Tenant
from manifest_auth.text import fields
from manifest_auth.text.canonical import when


class AcceptBody(msgspec.Struct, frozen=True):
    token: Token
    password: fields.Password


class ResetBody(msgspec.Struct, frozen=True, rename="camel"):
    token: Token
    new_password: fields.Password


class ForgotBody(msgspec.Struct, frozen=True):
    email: fields.Email
    client: Annotated[
        str, Meta(max_length=63, description="Identifier of the client. Default: `X-Client-ID`, or the host.")
    ] = ""


class WireLinkClient(Wire, frozen=True):
    identifier: str
    name: str


class WireLinkRules(Wire, frozen=True):
    min_length: int
    max_length: int
    character_classes: int


class WireLinkProvider(Wire, frozen=True):
    name: str
    display_name: str
    url: str


class OneTimeLinkData(Wire, frozen=True):
    """``purpose``: ``invitation``; ``reset``; ``email`` to confirm a new address; or ``email-undo`` to restore an old
    one. For the last two, ``email`` is the address that applies afterward. ``password``: the rules for a new password,
    or null if none can be set. ``message`` then gives the reason. ``providers``: where an invited person can sign in
    instead, by ``name`` at ``link/start``. ``returnTo``: the first web address in the client's list."""

    purpose: str
    email: str
    client: WireLinkClient
    expires_at: Time
    password: WireLinkRules | None
    message: str
    providers: tuple[WireLinkProvider, ...]
    return_to: str | None


def _data(ctx: RequestContext, found: OpenLink, ways: list[Provider]) -> OneTimeLinkData:
    settings, client = tenants.settings_of(found.tenant.settings), found.tenant.identifier
    rules = WireLinkRules.of(tenants.password_rules(settings, found.user.factors), max_length=MOST)
    return OneTimeLinkData(
        purpose=found.link.purpose,
        email=found.user.email,
        client=WireLinkClient.of(found.tenant),
        expires_at=when(found.link.expires_at),
        password=None if found.why_no_password else rules,
        message=found.why_no_password,
        providers=tuple(
            WireLinkProvider.of(way, url=url) for way in ways if (url := start_address(ctx, client, way.kind, way.name))
        ),
        return_to=_return_to(settings),
    )


def _return_to(settings: StoredSettings) -> str | None:
    listed = tenants.return_addresses_for(settings, Role.ADMIN.bit)
    return next((a for a in listed if a.startswith(("https://", "http://"))), None)


def _change_data(found: email_change.PendingChange) -> OneTimeLinkData:
    return OneTimeLinkData(
        purpose=found.kind,
        email=found.email,
        client=WireLinkClient.of(found.tenant),
        expires_at=when(found.expires_at),
        password=None,
        message="",
        providers=(),
        return_to=_return_to(tenants.settings_of(found.tenant.settings)),
    )


async def _look(ctx: RequestContext, call: Call[OneTimeLinkBody]) -> OneTimeLinkData:
    token = call.body.token
    if found := await ctx.services.store.read(lambda unit: email_change.find(unit, ctx, token)):
        return _change_data(found)
    return _data(ctx, *await set_password.look(ctx, token))


async def _accept(ctx: RequestContext, call: Call[AcceptBody]) -> Answer[SignInData]:
    body = call.body
    credentials = set_password.Credentials(Purpose.INVITATION, body.token, body.password, "password")
    return signed_in_answer(ctx, await set_password.choose_password(ctx, credentials, browser_of(ctx, call.head)))


async def _reset(ctx: RequestContext, call: Call[ResetBody]) -> Answer[SignInData]:
    body = call.body
    credentials = set_password.Credentials(Purpose.RESET, body.token, body.new_password, "newPassword")
    return signed_in_answer(ctx, await set_password.choose_password(ctx, credentials, browser_of(ctx, call.head)))


async def _forgot(ctx: RequestContext, call: Call[ForgotBody]) -> Nothing:
    client = ctx.client_hint.resolve(call.body.client)
    await set_password.forgot(ctx, Claim(call.body.email, client, browser_of(ctx, call.head).devices))
    return Nothing()


class StartBody(msgspec.Struct, frozen=True):
    # The token is sent in a body, so that no address, log or redirect contains it.
    token: Token
    provider: Annotated[str, Meta(min_length=1, max_length=63, description="Name of the provider, as `link` lists it.")]


class FormQuery(msgspec.Struct, frozen=True):
    state: Annotated[str, Meta(max_length=500, description="From the sign-in that this browser started.")] = ""


async def _start(ctx: RequestContext, call: Call[StartBody]) -> Answer[LinkData]:
    body, head, public = call.body, call.head, ctx.services.settings.public_url
    if ctx.client_hint.subdomain is not None:  # the sign-in's cookie would not be sent back
        raise ValidationError(details=[("Host", f"Start at {public}, where providers send their responses")])

    def work(unit: SystemUnit) -> tuple[Tenant, Provider | None]:
        found = set_password.find(unit, ctx, body.token, Purpose.INVITATION)
        return found.tenant, next((p for p in set_password.ways(unit, found) if p.name == body.provider), None)

    tenant, provider = await ctx.services.store.read(work)
    ctx.client_hint.check(tenant.identifier, tenant.id, "link")
    kind = KINDS[provider.kind] if provider is not None else None
    if provider is None or kind is None or not kind.start:
        missing = NotFound(reason=f"{NO_PROVIDER} for an invited person")
        raise await refusal_reasons.refuse(ctx, "link", tenant.id, None, missing)
    asked = StartRequest(
        provider=provider.name,
        client=tenant.identifier,
        return_to="",
        response="cookie",
        challenge="",
        invitation=body.token,
        devices=browser_of(ctx, head).devices,
    )
    beginning = await kind.begin(ctx, await choose(ctx, kind, asked), "")
    return ok(LinkData(beginning.address), headers=(set_flow_cookie(ctx, beginning.begun, cross_site=kind.cross_site),))


async def _form(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    body, policy = await saml_requests.page_of(ctx, call.parameters.state, call.head.cookie)
    return page(body, policy)


_BASE = "/api/client/auth"
_REFUSALS = (InvalidToken, AccountDisabled, MfaRequired, Forbidden, Conflict, ValidationError, RateLimited, Overloaded)
ROUTES = (
    Route("POST", f"{_BASE}/link", _look, Access.OPEN, "Get the purpose of a one-time link; the link stays unused",
          limit=AUTH_LIMIT, refusals=(InvalidToken,), operation="readLink"),
    Route("POST", f"{_BASE}/invitations/accept", _accept, Access.OPEN,
          "Set your first password with an invitation, and sign in", limit=AUTH_LIMIT,
          refusals=_REFUSALS, operation="acceptInvitation"),
    Route("POST", f"{_BASE}/password/reset", _reset, Access.OPEN,
          "Set a new password with a reset link, and sign in; ends all other sessions",
          limit=AUTH_LIMIT, refusals=_REFUSALS, operation="resetPassword"),
    Route("POST", f"{_BASE}/password/forgot", _forgot, Access.OPEN,
          "Email a reset link to the account's address; the response never reveals whether the account exists",
          limit=AUTH_LIMIT, refusals=(RateLimited,), operation="forgotPassword"),
    Route("POST", f"{_BASE}/link/start", _start, Access.OPEN,
          "Sign in at a provider with an invitation; returns the URL to send the browser to", limit=AUTH_LIMIT,
          refusals=(ValidationError, InvalidToken, Forbidden, NotFound, SsoFailed, ProviderUnavailable),
          operation="startSignInWithLink"),
    Route("GET", saml_requests.FORM, _form, Access.OPEN,
          "Page that posts a request to a provider, see `link/start`", query=FormQuery,
          sends=("text/html",), refusals=(ValidationError, SsoFailed), operation="getSamlForm"),
)  # fmt: skip
