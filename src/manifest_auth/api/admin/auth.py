"""``/api/admin/auth``: sign-in, refresh, sign-out and ``me`` of system admins."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.errors import (
    AccountDisabled,
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    Overloaded,
    RateLimited,
    TokenExpired,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, TopLevelTokens, Wire, ok, or_none
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_sign_in
from manifest_auth.text import fields

Otp = Annotated[
    str, Meta(min_length=1, max_length=40, description="Code of the second factor's app, or a recovery code.")
]


class AdminSignInBody(msgspec.Struct, frozen=True):
    """``otp``: for admins with a second factor. A right password with a missing or wrong code is answered
    `MFA_REQUIRED`."""

    username: Annotated[str, Meta(min_length=1, max_length=64)]
    password: fields.Password
    otp: Otp | UnsetType = UNSET


class AdminChallengeBody(msgspec.Struct, frozen=True):
    """``challenge``: of the answer `MFA_REQUIRED`."""

    challenge: Annotated[str, Meta(min_length=1, max_length=1024)]
    otp: Otp


class AdminRefreshBody(msgspec.Struct, frozen=True, rename="camel"):
    refresh_token: Annotated[str, Meta(min_length=1, max_length=4096)]


class WireAdmin(Wire, frozen=True):
    id: int
    username: str


class AdminSignInData(Wire, frozen=True):
    token: str
    refresh_token: str
    expires_in: int
    admin: WireAdmin


class AdminRefreshData(Wire, frozen=True):
    token: str
    refresh_token: str
    expires_in: int


class AdminMeData(Wire, frozen=True):
    admin: WireAdmin


class AdminNothing(Wire, frozen=True): ...


async def _sign_in(ctx: RequestContext, call: Call[AdminSignInBody]) -> AdminSignInData:
    body = call.body
    return _answer(await admin_sign_in.sign_in(ctx, body.username, body.password, or_none(body.otp)))


async def _continue(ctx: RequestContext, call: Call[AdminChallengeBody]) -> AdminSignInData:
    return _answer(await admin_sign_in.continue_sign_in(ctx, call.body.challenge, call.body.otp))


def _answer(signed_in: admin_sign_in.SignedIn) -> AdminSignInData:
    return AdminSignInData.of(signed_in.pair, admin=WireAdmin(signed_in.admin.id, signed_in.admin.username))


async def _refresh(ctx: RequestContext, call: Call[AdminRefreshBody]) -> Answer[AdminRefreshData]:
    pair = await admin_sign_in.refresh(ctx, call.body.refresh_token)
    return ok(AdminRefreshData.of(pair), top_level=TopLevelTokens.of(pair))


async def _sign_out(ctx: RequestContext, call: Call[None]) -> AdminNothing:
    await admin_sign_in.sign_out(ctx)
    return AdminNothing()


async def _me(ctx: RequestContext, call: Call[None]) -> AdminMeData:
    return AdminMeData(WireAdmin(ctx.admin.admin_id, ctx.admin.username))


_BASE = "/api/admin/auth"
ROUTES = (
    Route("POST", f"{_BASE}/sign-in", _sign_in, Access.OPEN, "Sign in as a system admin",
          limit=AUTH_LIMIT, ignore_unknown=True,
          refusals=(InvalidCredentials, MfaRequired, AccountDisabled, RateLimited, Overloaded),
          operation="adminSignIn"),
    Route("POST", f"{_BASE}/sign-in/continue", _continue, Access.OPEN,
          "Complete a sign-in as a system admin with a code of the second factor", limit=AUTH_LIMIT,
          refusals=(MfaRequired, InvalidToken, TokenExpired, AccountDisabled, RateLimited)),
    Route("POST", f"{_BASE}/refresh", _refresh, Access.OPEN, "Get new tokens for a system admin's refresh token",
          limit=AUTH_LIMIT, refusals=(InvalidToken, TokenExpired), operation="adminRefreshTokens"),
    Route("POST", f"{_BASE}/sign-out", _sign_out, Access.ADMIN, "End this session", limit=AUTH_LIMIT,
          operation="adminSignOut"),
    Route("GET", f"{_BASE}/me", _me, Access.ADMIN, "The signed-in system admin"),
)  # fmt: skip
