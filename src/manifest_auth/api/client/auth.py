"""``/api/client/auth``: sign in, refresh, sign out, one's own sessions, ``me``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.api.client.sign_in_answer import SignInData, WireUser, browser_of, signed_in_answer
from manifest_auth.errors import (
    AccountDisabled,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    NotFound,
    Overloaded,
    RateLimited,
    TokenExpired,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, ok, session_cookie
from manifest_auth.permissions import permission_names, role_names
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import password, session_lifecycle
from manifest_auth.text.canonical import when

Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(min_length=1, max_length=256)]
_REFUSED_SESSION = (InvalidToken, TokenExpired, Forbidden)


class SignInBody(msgspec.Struct, frozen=True):
    email: Email
    password: Password


class RefreshBody(msgspec.Struct, frozen=True, rename="camel"):
    refresh_token: Annotated[str, Meta(min_length=1, max_length=4096)]


class PasswordBody(msgspec.Struct, frozen=True, rename="camel"):
    current_password: Password
    new_password: Password


class RefreshData(msgspec.Struct, frozen=True, rename="camel"):
    token: str
    refresh_token: str
    expires_in: int


class WireClient(msgspec.Struct, frozen=True):
    id: int
    identifier: str
    name: str


class WireMeSession(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    method: str
    signed_in_at: str
    by: str


class WireMeUser(WireUser, frozen=True, rename="camel"):
    title: str


class MeData(msgspec.Struct, frozen=True):
    user: WireMeUser
    client: WireClient
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    session: WireMeSession


class WireSession(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    method: str
    created_at: str
    ends_at: str
    last_used_at: str
    address: str
    user_agent: str
    current: bool


class SessionsData(msgspec.Struct, frozen=True):
    items: tuple[WireSession, ...]


class EndedData(msgspec.Struct, frozen=True):
    ended: int


class Nothing(msgspec.Struct, frozen=True):
    pass


async def _sign_in(ctx: RequestContext, call: Call[SignInBody]) -> Answer:
    browser = browser_of(call.head)
    shown = password.Credentials(
        call.body.email,
        call.body.password,
        password.client_from(call.head.client_id, call.head.host, ctx.services.settings.public_url),
        browser.cookie,
        browser.device,
    )
    return signed_in_answer(ctx, await password.sign_in(ctx, shown))


async def _refresh(ctx: RequestContext, call: Call[RefreshBody]) -> Answer:
    pair = await session_lifecycle.refresh(ctx, call.body.refresh_token, call.head.client_id)
    data = {"token": pair.token, "refreshToken": pair.refresh_token, "expiresIn": pair.expires_in}
    # The two members beside `data` let the seed page's own client run unmodified (contract, section 3).
    return ok(data, beside={"token": pair.token, "refreshToken": pair.refresh_token})


async def _sign_out(ctx: RequestContext, call: Call[None]) -> Answer:
    await session_lifecycle.sign_out(ctx)
    return ok({}, headers=(session_cookie("", 0, ctx.services.settings),))


async def _sign_out_all(ctx: RequestContext, call: Call[None]) -> Answer:
    ended = await session_lifecycle.sign_out_all(ctx)
    return ok({"ended": ended}, headers=(session_cookie("", 0, ctx.services.settings),))


async def _sessions(ctx: RequestContext, call: Call[None]) -> Answer:
    rows = await session_lifecycle.list_sessions(ctx)
    items = [
        {
            "id": row.id,
            "method": row.method,
            "createdAt": when(row.created_at),
            "endsAt": when(row.ends_at),
            "lastUsedAt": when(row.last_used_at),
            "address": row.address,
            "userAgent": row.user_agent,
            "current": row.id == ctx.user.session_id,
        }
        for row in rows
    ]
    return ok({"items": items})


async def _end_session(ctx: RequestContext, call: Call[None]) -> Answer:
    await session_lifecycle.end_one(ctx, call.path["id"])
    own = call.path["id"] == ctx.user.session_id
    return ok({}, headers=(session_cookie("", 0, ctx.services.settings),) if own else ())


async def _change_password(ctx: RequestContext, call: Call[PasswordBody]) -> Answer:
    await session_lifecycle.change_password(ctx, call.body.current_password, call.body.new_password)
    return ok({})


async def _me(ctx: RequestContext, call: Call[None]) -> Answer:
    user = ctx.user
    roles = role_names(user.roles)
    return ok(
        {
            "user": {
                "id": user.user_id,
                "email": user.email,
                "firstName": user.first_name,
                "lastName": user.last_name,
                "title": user.title,
                "roles": roles,
                "clientId": user.client,
            },
            "client": {"id": user.tenant_id, "identifier": user.client, "name": user.client_name},
            "roles": roles,
            "permissions": permission_names(user.roles),
            "session": {
                "id": user.session_id,
                "method": user.method,
                "signedInAt": when(user.signed_in_at),
                "by": "cookie" if user.by_cookie else "token",
            },
        }
    )


_BASE = "/api/client/auth"
ROUTES = (
    Route("POST", f"{_BASE}/sign-in", _sign_in, Access.OPEN, "Sign in with e-mail and password",
          SignInBody, SignInData, limit=AUTH_LIMIT,
          refusals=(InvalidCredentials, AccountDisabled, RateLimited, Overloaded)),
    Route("POST", f"{_BASE}/refresh", _refresh, Access.OPEN, "Get new tokens for a refresh token",
          RefreshBody, RefreshData, limit=AUTH_LIMIT, refusals=_REFUSED_SESSION),
    Route("POST", f"{_BASE}/sign-out", _sign_out, Access.CLIENT, "End this session", None, Nothing, limit=AUTH_LIMIT),
    Route("POST", f"{_BASE}/sign-out-all", _sign_out_all, Access.CLIENT, "End all of one's sessions",
          None, EndedData, limit=AUTH_LIMIT),
    Route("GET", f"{_BASE}/sessions", _sessions, Access.CLIENT, "One's open sessions", None, SessionsData),
    Route("DELETE", f"{_BASE}/sessions/{{id}}", _end_session, Access.CLIENT, "End one of one's sessions",
          None, Nothing, limit=AUTH_LIMIT, refusals=(NotFound,)),
    Route("POST", f"{_BASE}/password", _change_password, Access.CLIENT,
          "Change one's password; ends the other sessions", PasswordBody, Nothing, limit=AUTH_LIMIT,
          refusals=(InvalidCredentials, RateLimited, Overloaded)),
    Route("GET", f"{_BASE}/me", _me, Access.CLIENT, "Who one is, and what one may do", None, MeData),
)  # fmt: skip
