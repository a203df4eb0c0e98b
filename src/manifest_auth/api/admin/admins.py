"""System admins: sign-in, their own passwords and second factors, and how they manage each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts.admins import management, second_factor
from manifest_auth.accounts.admins.management import AdminData
from manifest_auth.api.admin import lists
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    NotFound,
    Overloaded,
    RateLimited,
    TokenExpired,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Items, Route, Time, TopLevelTokens, Wire, ok, or_none
from manifest_auth.maintenance import system_admins
from manifest_auth.maintenance.system_admins import AdminMadeData
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts, admin_sign_in
from manifest_auth.sign_in.admin_accounts import Credentials
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.text import fields
from manifest_auth.text.canonical import when

Otp = Annotated[
    str, Meta(min_length=1, max_length=40, description="Code from the authenticator app, or a recovery code.")
]


class AdminSignInBody(msgspec.Struct, frozen=True):
    """``otp``: for admins with a second factor. If the password is correct and the code is missing or incorrect, the
    response is `MFA_REQUIRED`."""

    username: Annotated[str, Meta(min_length=1, max_length=64)]
    password: fields.Password
    otp: Otp | UnsetType = UNSET


class AdminChallengeBody(msgspec.Struct, frozen=True):
    """``challenge``: from the `MFA_REQUIRED` response."""

    challenge: Annotated[str, Meta(min_length=1, max_length=1024)]
    otp: Otp


class AdminRefreshBody(msgspec.Struct, frozen=True, rename="camel"):
    refresh_token: Annotated[str, Meta(min_length=1, max_length=4096)]


class WireAdmin(Wire, frozen=True):
    id: int
    username: str


class AdminRefreshData(Wire, frozen=True):
    token: str
    refresh_token: str
    expires_in: int


class AdminSignInData(AdminRefreshData, frozen=True):
    admin: WireAdmin


class AdminMeData(Wire, frozen=True):
    admin: WireAdmin


class AdminNothing(Wire, frozen=True): ...


async def _sign_in(ctx: RequestContext, call: Call[AdminSignInBody]) -> AdminSignInData:
    body = call.body
    return _answer(ctx, await admin_sign_in.sign_in(ctx, body.username, body.password, or_none(body.otp)))


async def _continue(ctx: RequestContext, call: Call[AdminChallengeBody]) -> AdminSignInData:
    return _answer(ctx, await admin_sign_in.continue_sign_in(ctx, call.body.challenge, call.body.otp))


def _answer(ctx: RequestContext, session: admin_sign_in.Session) -> AdminSignInData:
    admin = WireAdmin(session.admin.id, session.admin.username)
    return AdminSignInData.of(admin_sign_in.pair_of(ctx, session), admin=admin)


async def _refresh(ctx: RequestContext, call: Call[AdminRefreshBody]) -> Answer[AdminRefreshData]:
    pair = await admin_sign_in.refresh(ctx, call.body.refresh_token)
    return ok(AdminRefreshData.of(pair), top_level=TopLevelTokens.of(pair))


async def _sign_out(ctx: RequestContext, call: Call[None]) -> AdminNothing:
    await admin_sign_in.sign_out(ctx)
    return AdminNothing()


async def _me(ctx: RequestContext, call: Call[None]) -> AdminMeData:
    return AdminMeData(WireAdmin(ctx.admin.admin_id, ctx.admin.username))


_AUTH_BASE = "/api/admin/auth"
SESSION_ROUTES = (
    Route("POST", f"{_AUTH_BASE}/sign-in", _sign_in, Access.OPEN, "Sign in as a system admin",
          limit=AUTH_LIMIT, ignore_unknown=True,
          refusals=(InvalidCredentials, MfaRequired, AccountDisabled, RateLimited, Overloaded),
          operation="adminSignIn"),
    Route("POST", f"{_AUTH_BASE}/sign-in/continue", _continue, Access.OPEN,
          "Complete a system admin's sign-in with a code of the second factor", limit=AUTH_LIMIT,
          refusals=(MfaRequired, InvalidToken, TokenExpired, AccountDisabled, RateLimited)),
    Route("POST", f"{_AUTH_BASE}/refresh", _refresh, Access.OPEN, "Get new tokens for a system admin's refresh token",
          limit=AUTH_LIMIT, refusals=(InvalidToken, TokenExpired), operation="adminRefreshTokens"),
    Route("POST", f"{_AUTH_BASE}/sign-out", _sign_out, Access.ADMIN, "End this session", limit=AUTH_LIMIT,
          operation="adminSignOut", asks=NOTHING),
    Route("GET", f"{_AUTH_BASE}/me", _me, Access.ADMIN, "Get the signed-in system admin"),
)  # fmt: skip


class ProofBody(msgspec.Struct, frozen=True):
    """``otp``: required if the admin has a second factor."""

    password: fields.Password
    otp: Otp | UnsetType = UNSET


class AdminPasswordBody(msgspec.Struct, frozen=True, rename="camel"):
    current_password: fields.Password
    new_password: fields.Password
    otp: Otp | UnsetType = UNSET


class FirstCodeBody(msgspec.Struct, frozen=True):
    password: fields.Password
    otp: Otp


class SecondFactorData(Wire, frozen=True):
    """``required``: whether every system admin needs a second factor. If so, admins without one can only enroll one."""

    enrolled: bool
    required: bool
    recovery_codes_left: int


class SecretData(Wire, frozen=True):
    """Returned once. ``uri``: the content of the QR code for authenticator apps; ``secret``: the same secret in base32,
    for typing."""

    secret: str
    uri: str


class RecoveryCodesData(Wire, frozen=True):
    """Returned once. Each code replaces one code of the authenticator app, and works once."""

    recovery_codes: tuple[str, ...]


class ProvedData(Wire, frozen=True):
    """``authenticatedAt``: the start of the ten minutes in which sensitive actions are allowed."""

    authenticated_at: Time


class OwnNothing(Wire, frozen=True): ...


def _proof(body: ProofBody) -> Credentials:
    return Credentials(body.password, or_none(body.otp))


async def _password(ctx: RequestContext, call: Call[AdminPasswordBody]) -> OwnNothing:
    body = call.body
    await admin_accounts.change_password(ctx, Credentials(body.current_password, or_none(body.otp)), body.new_password)
    return OwnNothing()


async def _reauthenticate(ctx: RequestContext, call: Call[ProofBody]) -> ProvedData:
    return ProvedData(when(await admin_accounts.reauthenticate(ctx, _proof(call.body))))


async def _read(ctx: RequestContext, call: Call[None]) -> SecondFactorData:
    me = ctx.admin.admin_id
    return await ctx.services.store.read(
        lambda unit: SecondFactorData(
            second_factor.is_enrolled(unit, me), second_factor.is_required(unit), second_factor.codes_left(unit, me)
        )
    )


async def _enrol(ctx: RequestContext, call: Call[ProofBody]) -> SecretData:
    secret = await admin_accounts.enrol(ctx, _proof(call.body))
    return SecretData(secret, admin_accounts.app_address(ctx, secret))


async def _confirm(ctx: RequestContext, call: Call[FirstCodeBody]) -> RecoveryCodesData:
    return RecoveryCodesData(await admin_accounts.confirm(ctx, call.body.password, call.body.otp))


async def _codes(ctx: RequestContext, call: Call[ProofBody]) -> RecoveryCodesData:
    return RecoveryCodesData(await admin_accounts.new_codes(ctx, _proof(call.body)))


async def _remove(ctx: RequestContext, call: Call[ProofBody]) -> OwnNothing:
    await admin_accounts.remove(ctx, _proof(call.body))
    return OwnNothing()


class AdminBody(msgspec.Struct, frozen=True):
    username: Annotated[str, fields.USERNAME.meta]
    password: Annotated[fields.Password, Meta(description="Default: a random password, returned once.")] | UnsetType = (
        UNSET
    )


class AdminSessionsEnded(Wire, frozen=True):
    ended: int


async def _list(ctx: RequestContext, call: Call[None]) -> Items[AdminData]:
    asked = call.parameters
    filters = Filters(asked.state).search(asked.q.casefold())
    return await ctx.services.store.read(lambda unit: lists.listed(unit, management.LISTING, asked, filters))


async def _get(ctx: RequestContext, call: Call[None]) -> AdminData:
    admin_id = call.id("admin")
    return await ctx.services.store.read(lambda unit: management.get_listed(unit, admin_id))


async def _create(ctx: RequestContext, call: Call[AdminBody]) -> AdminMadeData:
    return await system_admins.create(ctx, call.body.username, or_none(call.body.password))


def _changes(
    act: Callable[[SystemUnit, RequestContext, int], None],
) -> Callable[[RequestContext, Call[None]], Awaitable[AdminData]]:
    """Returns a handler that runs ``act`` on the admin in the path, and responds with the changed admin."""

    async def handler(ctx: RequestContext, call: Call[None]) -> AdminData:
        admin_id = call.id("admin")

        def work(unit: SystemUnit) -> AdminData:
            act(unit, ctx, admin_id)
            return management.get_listed(unit, admin_id)

        return await ctx.services.store.write(work)

    return handler


def _enable(unit: SystemUnit, ctx: RequestContext, admin_id: int) -> None:
    management.enable(unit, ctx, management.get_managed(unit, ctx, admin_id))


async def _reset_password(ctx: RequestContext, call: Call[None]) -> AdminMadeData:
    return await system_admins.reset_password(ctx, call.id("admin"))


async def _end_sessions(ctx: RequestContext, call: Call[None]) -> AdminSessionsEnded:
    admin_id = call.id("admin")
    return AdminSessionsEnded(await ctx.services.store.write(lambda unit: management.sign_out_all(unit, ctx, admin_id)))


_BASE = "/api/admin/admins"
_ONE = f"{_BASE}/{{admin}}"
_FACTOR = f"{_AUTH_BASE}/second-factor"
_PROOF = (InvalidCredentials, RateLimited, Overloaded)
ROUTES = (
    # If a second factor is required, admins without one can call only these routes:
    Route("POST", f"{_AUTH_BASE}/password", _password, Access.ADMIN,
          "Set your own new password; ends your other sessions",
          limit=AUTH_LIMIT, refusals=_PROOF, operation="adminChangePassword", asks=NOTHING),
    Route("POST", f"{_AUTH_BASE}/reauthenticate", _reauthenticate, Access.ADMIN,
          "Re-authenticate for a sensitive action", limit=AUTH_LIMIT, refusals=_PROOF, asks=NOTHING),
    Route("GET", _FACTOR, _read, Access.ADMIN, "Get the state of your second factor"),
    Route("POST", _FACTOR, _enrol, Access.ADMIN, "Start setting up a second factor (TOTP); its secret is returned once",
          limit=AUTH_LIMIT, status=201, refusals=(*_PROOF, Conflict), operation="adminBeginSecondFactor", asks=NOTHING),
    Route("POST", f"{_FACTOR}/confirm", _confirm, Access.ADMIN,
          "Confirm the second factor with a first code; returns ten recovery codes once, and ends your other sessions",
          limit=AUTH_LIMIT, refusals=(*_PROOF, Conflict), asks=NOTHING),
    Route("POST", f"{_FACTOR}/recovery-codes", _codes, Access.ADMIN,
          "Create ten new recovery codes, which replace the previous ones",
          limit=AUTH_LIMIT, status=201, refusals=(*_PROOF, Conflict), operation="adminCreateRecoveryCodes",
          asks=NOTHING),
    Route("POST", f"{_FACTOR}/remove", _remove, Access.ADMIN, "Remove your second factor, unless one is required",
          limit=AUTH_LIMIT, refusals=(*_PROOF, Conflict), operation="adminRemoveSecondFactor", asks=NOTHING),
    Route("GET", _BASE, _list, Access.ADMIN, "List and search system admins",
          query=lists.query(management.LISTING.sorts, "ID", state=("active", "disabled"))),
    Route("POST", _BASE, _create, Access.ADMIN, "Create a system admin", status=201, refusals=(Conflict, Overloaded),
          asks=Act.ADMINS),
    Route("GET", _ONE, _get, Access.ADMIN, "Get a system admin", refusals=(NotFound,)),
    Route("POST", f"{_ONE}/disable", _changes(management.disable), Access.ADMIN,
          "Disable a system admin and end their sessions; the last active one stays enabled",
          refusals=(NotFound, Conflict), asks=Act.ADMINS),
    Route("POST", f"{_ONE}/enable", _changes(_enable), Access.ADMIN, "Enable a disabled system admin again",
          refusals=(NotFound, Conflict), asks=Act.ADMINS),
    Route("POST", f"{_ONE}/reset-password", _reset_password, Access.ADMIN,
          "Reset another system admin's password to a random one, returned once; ends their sessions",
          refusals=(NotFound, Conflict, Overloaded), asks=Act.ADMINS),
    Route("POST", f"{_ONE}/reset-second-factor", _changes(management.reset_second_factor), Access.ADMIN,
          "Remove another system admin's second factor; ends their sessions", refusals=(NotFound, Conflict),
          asks=Act.ADMINS),
    Route("DELETE", f"{_ONE}/sessions", _end_sessions, Access.ADMIN, "End all sessions of a system admin",
          refusals=(NotFound,), asks=Act.ADMINS),
)  # fmt: skip
