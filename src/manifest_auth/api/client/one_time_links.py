"""One-time links: the page that they lead to, what they are good for, and the password that is chosen with one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.accounts import one_time_links
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.accounts.password_rules import MOST
from manifest_auth.api.client.auth import Email, Nothing, Password
from manifest_auth.api.client.sign_in_answer import SignInData, browser_of, signed_in_answer
from manifest_auth.api.client.single_sign_on import client_named
from manifest_auth.errors import Conflict, Forbidden, InvalidToken, Overloaded, RateLimited, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, ok, page
from manifest_auth.pages import welcome
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import email_change, password_reset, set_password
from manifest_auth.sign_in.password import Claim
from manifest_auth.sign_in.providers.kinds import start_address
from manifest_auth.sign_in.set_password import Looked
from manifest_auth.tenants import TenantSettings
from manifest_auth.text.canonical import when

Token = Annotated[str, Meta(min_length=1, max_length=100, description="What stands behind `#` in the link.")]


class OneTimeLinkBody(msgspec.Struct, frozen=True):
    token: Token


class AcceptBody(msgspec.Struct, frozen=True):
    token: Token
    password: Password


class ResetBody(msgspec.Struct, frozen=True, rename="camel"):
    token: Token
    new_password: Password


class ForgotBody(msgspec.Struct, frozen=True):
    email: Email
    client: Annotated[str, Meta(max_length=63, description="Client; else `X-Client-ID`, else the host.")] = ""


class WireLinkClient(msgspec.Struct, frozen=True):
    identifier: str
    name: str


class WireLinkRules(msgspec.Struct, frozen=True, rename="camel"):
    min_length: int
    max_length: int
    character_classes: int


class WireLinkProvider(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    display_name: str
    url: str


class OneTimeLinkData(msgspec.Struct, frozen=True, rename="camel"):
    """``purpose``: ``invitation``, ``reset``; ``email`` for a new address to confirm, ``email-undo`` for an old one to
    put back: then ``email`` is the address that is in force afterwards. ``password``: the rules for one that is chosen,
    null when none can be: ``message`` says why. ``providers``: where an invited person may come in instead, by ``name``
    at ``link/start``. ``returnTo``: where to go afterwards."""

    purpose: str
    email: str
    client: WireLinkClient
    expires_at: str
    password: WireLinkRules | None
    message: str
    providers: tuple[WireLinkProvider, ...]
    return_to: str | None


def _wire(ctx: RequestContext, looked: Looked) -> dict[str, Any]:
    found = looked.found
    settings, client = tenants.settings_of(found.tenant.settings), found.tenant.identifier
    rules = {
        "minLength": settings.password.min_length,
        "maxLength": MOST,
        "characterClasses": settings.password.character_classes,
    }
    return {
        "purpose": found.link.purpose,
        "email": found.user.email,
        "client": {"identifier": client, "name": found.tenant.name},
        "expiresAt": when(found.link.expires_at),
        "password": None if found.why_no_password else rules,
        "message": found.why_no_password,
        "providers": [
            {
                "name": way.name,
                "displayName": way.display_name,
                "url": url,
            }
            for way in looked.ways
            if (url := start_address(ctx, client, way.kind, way.name))
        ],
        "returnTo": _return_to(settings),
    }


def _return_to(settings: TenantSettings) -> str | None:
    return next((a for a in settings.return_addresses if a.startswith(("https://", "http://"))), None)


def _wire_address(found: email_change.Found) -> dict[str, Any]:
    return {
        "purpose": found.kind,
        "email": found.email,
        "client": {"identifier": found.tenant.identifier, "name": found.tenant.name},
        "expiresAt": when(found.expires_at),
        "password": None,
        "message": "",
        "providers": [],
        "returnTo": _return_to(tenants.settings_of(found.tenant.settings)),
    }


async def _look(ctx: RequestContext, call: Call[OneTimeLinkBody]) -> Answer:
    token = call.body.token
    if found := await ctx.services.store.read(lambda unit: email_change.find(unit, ctx, token)):
        return ok(_wire_address(found))
    return ok(_wire(ctx, await set_password.look(ctx, call.body.token)))


async def _accept(ctx: RequestContext, call: Call[AcceptBody]) -> Answer:
    body = call.body
    shown = set_password.Credentials(Purpose.INVITATION, body.token, body.password, "password", call.head.client_id)
    return signed_in_answer(ctx, await set_password.choose_password(ctx, shown, browser_of(call.head)))


async def _reset(ctx: RequestContext, call: Call[ResetBody]) -> Answer:
    body = call.body
    shown = set_password.Credentials(Purpose.RESET, body.token, body.new_password, "newPassword", call.head.client_id)
    return signed_in_answer(ctx, await set_password.choose_password(ctx, shown, browser_of(call.head)))


async def _forgot(ctx: RequestContext, call: Call[ForgotBody]) -> Answer:
    client = client_named(ctx, call.head, call.body.client)
    await password_reset.forgot(ctx, Claim(call.body.email, client, browser_of(call.head).device))
    return ok({})


async def _page(ctx: RequestContext, call: Call[None]) -> Answer:
    return page(welcome.PAGE, welcome.POLICY)


_BASE = "/api/client/auth"
_CHOOSES = (InvalidToken, Forbidden, Conflict, ValidationError, RateLimited, Overloaded)
ROUTES = (
    Route("GET", one_time_links.PAGE, _page, Access.OPEN, "The page that one-time links lead to"),
    Route("POST", f"{_BASE}/link", _look, Access.OPEN, "What a one-time link is good for; uses nothing up",
          OneTimeLinkBody, OneTimeLinkData, limit=AUTH_LIMIT, refusals=(InvalidToken,)),
    Route("POST", f"{_BASE}/invitations/accept", _accept, Access.OPEN,
          "Choose one's first password with an invitation, and be signed in", AcceptBody, SignInData, limit=AUTH_LIMIT,
          refusals=_CHOOSES),
    Route("POST", f"{_BASE}/password/reset", _reset, Access.OPEN,
          "Choose a new password with a reset link, and be signed in; all other sessions end", ResetBody, SignInData,
          limit=AUTH_LIMIT, refusals=_CHOOSES),
    Route("POST", f"{_BASE}/password/forgot", _forgot, Access.OPEN,
          "Have a reset link mailed to the account's address; the answer never says whether there is such an account",
          ForgotBody, Nothing, limit=AUTH_LIMIT, refusals=(RateLimited,)),
)  # fmt: skip
