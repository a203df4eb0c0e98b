"""``/api/client/auth``: sign-in, refresh, sign-out, sessions, ``me``, and the caller's password, profile and email."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import sessions
from manifest_auth.accounts import accounts, users
from manifest_auth.api.admin import lists
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.context import Principal
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    NotFound,
    Overloaded,
    RateLimited,
    TokenExpired,
    ValidationError,
)
from manifest_auth.http import (
    AUTH_LIMIT,
    Access,
    Answer,
    Call,
    Items,
    Route,
    Time,
    TopLevelTokens,
    Wire,
    ok,
)
from manifest_auth.http.cookies import after_sign_out, browser_of
from manifest_auth.http.sign_in_answer import SignInData, WireUser, signed_in_answer
from manifest_auth.permissions import permission_names, role_names
from manifest_auth.runtime.mail import RemovedData
from manifest_auth.services import RequestContext
from manifest_auth.sessions import ListedSession
from manifest_auth.sessions.sessions import ways_of
from manifest_auth.sign_in import email_change, password, session_lifecycle
from manifest_auth.sign_in.second_factor import continuing
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.fields import Details, Input, with_details
from manifest_auth.text.languages import Language

_REFUSED_SIGN_IN = (InvalidCredentials, InvalidToken, AccountDisabled, MfaRequired, RateLimited, Overloaded)
_REFUSED_SESSION = (InvalidToken, TokenExpired, Forbidden)


Token = Annotated[fields.Token, Meta(description="The part of the link after `#`.")]


class OneTimeLinkBody(msgspec.Struct, frozen=True):
    token: Token


class SignInBody(msgspec.Struct, frozen=True):
    email: fields.Email
    password: fields.Password
    otp: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    trust: bool = False


class RefreshBody(msgspec.Struct, frozen=True, rename="camel"):
    refresh_token: Annotated[str, Meta(min_length=1, max_length=4096)]


class PasswordBody(msgspec.Struct, frozen=True, rename="camel"):
    current_password: fields.Password
    new_password: fields.Password


class RefreshData(Wire, frozen=True):
    token: str
    refresh_token: str
    expires_in: int


class WireClient(Wire, frozen=True):
    id: int
    identifier: str
    name: str


class WireMeSession(Wire, frozen=True):
    """``amr``: the authentication methods (RFC 8176); ``authenticatedAt``: when the user authenticated, or null if
    unknown."""

    id: str
    method: str
    signed_in_at: Time
    by: str
    amr: tuple[str, ...]
    authenticated_at: Time | None


class WireMeUser(WireUser, frozen=True):
    """``language``: the language that the user chose, or null."""

    title: str
    language: str | None


class WireMeService(Wire, frozen=True):
    """A service account that calls the API."""

    id: int
    name: str
    roles: tuple[str, ...]
    client_id: str


class MeData(Wire, frozen=True, kw_only=True):
    """``user``: the person who is signed in. A machine has ``service`` instead, and its key instead of a session."""

    user: WireMeUser | UnsetType = UNSET
    service: WireMeService | UnsetType = UNSET
    client: WireClient
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    session: WireMeSession


class WireSession(Wire, frozen=True):
    """``appId``, ``label``: for a device's session, its app and the device's name; otherwise null."""

    id: str
    method: str
    created_at: Time
    ends_at: Time
    last_used_at: Time
    address: str
    user_agent: str
    amr: tuple[str, ...]
    authenticated_at: Time | None
    app_id: str | None
    label: str | None
    current: bool


class EndedData(Wire, frozen=True):
    ended: int


class Nothing(Wire, frozen=True): ...


async def _sign_in(ctx: RequestContext, call: Call[SignInBody]) -> Answer[SignInData]:
    browser = browser_of(ctx, call.head)
    claim = password.Claim(call.body.email, ctx.client_hint.client, browser.devices)
    credentials = password.Credentials(claim, call.body.password, browser.cookie, browser.trust, browser.beside)
    signed_in = await continuing.sign_in(ctx, credentials, call.body.otp, trust=call.body.trust)
    return signed_in_answer(ctx, signed_in)


async def _refresh(ctx: RequestContext, call: Call[RefreshBody]) -> Answer[RefreshData]:
    pair, _ = await session_lifecycle.refresh(ctx, call.body.refresh_token)
    return ok(RefreshData(*pair), top_level=TopLevelTokens(pair.token, pair.refresh_token))


async def _sign_out(ctx: RequestContext, call: Call[None]) -> Answer[Nothing]:
    await session_lifecycle.sign_out(ctx)
    return ok(Nothing(), headers=await after_sign_out(ctx, call.head))


async def _sign_out_all(ctx: RequestContext, call: Call[None]) -> Answer[EndedData]:
    ended = EndedData(await session_lifecycle.sign_out_all(ctx))
    return ok(ended, headers=await after_sign_out(ctx, call.head))


async def _sign_out_others(ctx: RequestContext, call: Call[None]) -> EndedData:
    return EndedData(await session_lifecycle.sign_out_others(ctx))


async def _sessions(ctx: RequestContext, call: Call[None]) -> Items[WireSession]:
    own, of = ctx.user.session_id, sessions.open_ones_of(ctx.user.user_id, ctx.now)

    def shown(row: ListedSession) -> WireSession:
        return WireSession.of(row, amr=ways_of(row.amr), current=row.id == own)

    return await ctx.store.read(lambda unit: lists.page(shown, unit, sessions.LISTING, call.parameters, of))


async def _end_session(ctx: RequestContext, call: Call[None]) -> Answer[Nothing]:
    await session_lifecycle.end_one(ctx, call.path["id"])
    is_own = call.path["id"] == ctx.user.session_id
    return ok(Nothing(), headers=await after_sign_out(ctx, call.head) if is_own else ())


async def _change_password(ctx: RequestContext, call: Call[PasswordBody]) -> Nothing:
    await session_lifecycle.change_password(ctx, call.body.current_password, call.body.new_password)
    return Nothing()


async def _me(ctx: RequestContext, call: Call[None]) -> MeData:
    user = ctx.user
    roles = role_names(user.roles)
    return MeData(
        user=UNSET if user.is_service else _person(user),
        service=WireMeService(user.user_id, user.first_name, roles, user.client) if user.is_service else UNSET,
        client=WireClient(user.tenant_id, user.client, user.client_name),
        roles=roles,
        permissions=permission_names(user.roles, user.scopes),
        session=WireMeSession(
            id=user.session_id,
            method=user.method,
            signed_in_at=when(user.created_at),
            by="cookie" if ctx.by_cookie else "token",
            amr=ways_of(user.amr),
            authenticated_at=when(user.authenticated_at) if user.authenticated_at is not None else None,
        ),
    )


def _person(user: Principal) -> WireMeUser:
    return WireMeUser(
        id=user.user_id,
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        title=user.title,
        language=user.language,
        roles=role_names(user.roles),
        client_id=user.client,
    )


_BASE = "/api/client/auth"
ROUTES = (
    Route("POST", f"{_BASE}/sign-in", _sign_in, Access.OPEN, "Sign in with email address and password",
          limit=AUTH_LIMIT, ignore_unknown=True, refusals=_REFUSED_SIGN_IN, operation="signIn"),
    Route("POST", f"{_BASE}/refresh", _refresh, Access.OPEN, "Get new tokens for a refresh token",
          limit=AUTH_LIMIT, ignore_unknown=True, refusals=_REFUSED_SESSION, operation="refreshTokens"),
    Route("POST", f"{_BASE}/sign-out", _sign_out, Access.CLIENT, "End this session", limit=AUTH_LIMIT,
          operation="signOut", asks=NOTHING),
    Route("POST", f"{_BASE}/sign-out-all", _sign_out_all, Access.CLIENT, "End all of your sessions",
          limit=AUTH_LIMIT, operation="signOutAll", asks=NOTHING),
    Route("POST", f"{_BASE}/sign-out-others", _sign_out_others, Access.CLIENT,
          "End all of your sessions except this one",
          limit=AUTH_LIMIT, operation="signOutOthers", asks=Act.SESSIONS),
    Route("GET", f"{_BASE}/sessions", _sessions, Access.CLIENT, "List your open sessions",
          query=lists.query(["CREATED"], "CREATED_DESC", q=False)),
    Route("DELETE", f"{_BASE}/sessions/{{id}}", _end_session, Access.CLIENT, "End one of your sessions",
          limit=AUTH_LIMIT, refusals=(NotFound,), asks=Act.SESSIONS),
    Route("POST", f"{_BASE}/password", _change_password, Access.CLIENT,
          "Change your password; ends your other sessions", limit=AUTH_LIMIT,
          refusals=(InvalidCredentials, RateLimited, Overloaded), operation="changePassword", asks=Act.PASSWORD),
    Route("GET", f"{_BASE}/me", _me, Access.CLIENT, "Get the caller, with roles and permissions"),
)  # fmt: skip


@with_details(users.OWN, Input.CHANGE)
class ProfileBody(msgspec.Struct, frozen=True, rename="camel"):
    """Omitted members don't change. If ``language`` is null, the client's default applies."""

    details: Details
    language: Language | UnsetType | None = UNSET


@with_details(users.OWN)
class ProfileData(Wire, frozen=True):
    details: Details
    language: str | None


async def _change_profile(ctx: RequestContext, call: Call[ProfileBody]) -> ProfileData:
    body = call.body
    changed = await ctx.store.write(lambda unit: accounts.change_own(unit, ctx, body.details, body.language))
    return ProfileData.of(changed)


PROFILE_ROUTES = (
    Route("PATCH", f"{_BASE}/me", _change_profile, Access.CLIENT, "Change your names, title, or language",
          limit=AUTH_LIMIT, refusals=(ValidationError, Conflict), asks=NOTHING),
)  # fmt: skip


class AddressBody(msgspec.Struct, frozen=True, rename="camel"):
    new_email: fields.Email
    current_password: fields.Password


class PendingData(Wire, frozen=True):
    """An address that isn't confirmed yet. The response is the same if another account has the address."""

    pending_email: str
    expires_at: Time


class ConfirmedData(Wire, frozen=True):
    """``email``: the new address."""

    email: str


class UndoneData(Wire, frozen=True):
    """``resets``: whether a link to choose a new password was sent to the address; ``removed``: the sign-in methods
    that were removed."""

    email: str
    resets: Annotated[bool, Meta(description="Whether a link to choose a new password is sent to the address.")]
    removed: RemovedData


async def _start(ctx: RequestContext, call: Call[AddressBody]) -> PendingData:
    started = await email_change.start_own(ctx, call.body.new_email, call.body.current_password)
    return PendingData(started.email, when(started.expires_at))


async def _confirm(ctx: RequestContext, call: Call[OneTimeLinkBody]) -> ConfirmedData:
    return ConfirmedData(await email_change.confirm(ctx, call.body.token))


async def _undo(ctx: RequestContext, call: Call[OneTimeLinkBody]) -> UndoneData:
    undone = await email_change.undo(ctx, call.body.token)
    return UndoneData(undone.email, undone.resets, undone.removed)


_EMAIL_BASE = "/api/client/auth/email"
_BY_LINK = (InvalidToken, Forbidden, Conflict)
EMAIL_ROUTES = (
    Route("POST", _EMAIL_BASE, _start, Access.CLIENT,
          "Request a different email address, which takes effect when it is confirmed",
          limit=AUTH_LIMIT, refusals=(ValidationError, InvalidCredentials, Conflict, RateLimited, Overloaded),
          operation="changeEmail", asks=Act.EMAIL),
    Route("POST", f"{_EMAIL_BASE}/confirm", _confirm, Access.OPEN,
          "Confirm a new address with the link from the email",
          limit=AUTH_LIMIT, refusals=_BY_LINK),
    Route("POST", f"{_EMAIL_BASE}/undo", _undo, Access.OPEN,
          "Restore the old address with the link from the email; ends all sessions, voids the password, and removes "
          "recent sign-in methods",
          limit=AUTH_LIMIT, refusals=_BY_LINK),
)  # fmt: skip
