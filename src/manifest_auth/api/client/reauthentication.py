"""``/api/client/auth/reauthenticate``: a signed-in user proves anew who they are, for acts that need a recent proof."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.api.client.identities import LinkData
from manifest_auth.api.client.passkeys import Credential, OptionsData
from manifest_auth.api.client.second_factors import Code
from manifest_auth.errors import (
    Conflict,
    InvalidCredentials,
    NotFound,
    Overloaded,
    ProviderUnavailable,
    RateLimited,
    ReauthenticationRequired,
    SsoFailed,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, Time, Wire, ok, or_none
from manifest_auth.http.cookies import browser_of
from manifest_auth.http.sign_in_answer import set_flow_cookie
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import reauthentication
from manifest_auth.sign_in.second_factor.questions import Answer as Given
from manifest_auth.text import fields
from manifest_auth.text.canonical import when


class ReauthenticateBody(msgspec.Struct, frozen=True, rename="camel"):
    """What `REAUTHENTICATION_REQUIRED` names: the password, and one answer where the account has a second factor; a
    passkey alone."""

    password: fields.Password | UnsetType = UNSET
    otp: Code | UnsetType = UNSET
    recovery_code: Code | UnsetType = UNSET
    credential: Credential | UnsetType = UNSET


class AtProviderBody(msgspec.Struct, frozen=True, rename="camel"):
    provider: Annotated[str, Meta(max_length=63, description="May be left out where you have one identity.")] = ""
    return_to: Annotated[str, Meta(max_length=2000, description="A listed return address, exactly as listed.")] = ""


class ReauthenticatedData(Wire, frozen=True):
    """``authenticatedAt``: acts that need a recent proof are open for ten minutes from then on; ``amr``: what was
    proved."""

    authenticated_at: Time
    amr: tuple[str, ...]


async def _reauthenticate(ctx: RequestContext, call: Call[ReauthenticateBody]) -> ReauthenticatedData:
    body = call.body
    given = Given(or_none(body.otp), or_none(body.recovery_code), or_none(body.credential))
    done = await reauthentication.reauthenticate(ctx, or_none(body.password), given, browser_of(ctx, call.head))
    return ReauthenticatedData(when(done.at), done.amr)


async def _options(ctx: RequestContext, call: Call[None]) -> OptionsData:
    return OptionsData(await reauthentication.options(ctx))


async def _at_provider(ctx: RequestContext, call: Call[AtProviderBody]) -> Answer[LinkData]:
    started = await reauthentication.begin_at_provider(ctx, call.body.provider, call.body.return_to)
    return ok(LinkData(started.address), headers=(set_flow_cookie(ctx, started.begun, cross_site=started.cross_site),))


_BASE = "/api/client/auth/reauthenticate"
ROUTES = (
    Route("POST", _BASE, _reauthenticate, Access.CLIENT, "Prove again who you are, for acts that need it",
          limit=AUTH_LIMIT,
          refusals=(ValidationError, InvalidCredentials, ReauthenticationRequired, Conflict, RateLimited, Overloaded)),
    Route("POST", f"{_BASE}/options", _options, Access.CLIENT,
          "What a browser needs to do so with one of your passkeys", limit=AUTH_LIMIT, refusals=(Conflict,),
          operation="getReauthenticationOptions"),
    Route("POST", f"{_BASE}/provider", _at_provider, Access.CLIENT,
          "The same at your identity provider: the address to send the browser to", limit=AUTH_LIMIT,
          refusals=(ValidationError, NotFound, Conflict, SsoFailed, ProviderUnavailable),
          operation="reauthenticateAtProvider"),
)  # fmt: skip
