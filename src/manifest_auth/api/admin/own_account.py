"""``/api/admin/auth``: a system admin's own password and second factor. The one part of the plane that is open to those
who have no second factor where one is required."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts.admins import second_factor
from manifest_auth.api.admin.auth import Otp
from manifest_auth.errors import Conflict, InvalidCredentials, Overloaded, RateLimited
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Wire, given
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_own_account
from manifest_auth.sign_in.admin_own_account import Credentials

Password = Annotated[str, Meta(min_length=1, max_length=256)]


class ProofBody(msgspec.Struct, frozen=True):
    """``otp``: required where there is a second factor."""

    password: Password
    otp: Otp | UnsetType = UNSET


class AdminPasswordBody(msgspec.Struct, frozen=True, rename="camel"):
    current_password: Password
    new_password: Password
    otp: Otp | UnsetType = UNSET


class FirstCodeBody(msgspec.Struct, frozen=True):
    password: Password
    otp: Otp


class SecondFactorData(Wire, frozen=True):
    """``required``: of every system admin; those without one may do nothing but enrol."""

    enrolled: bool
    required: bool
    recovery_codes_left: int


class SecretData(Wire, frozen=True):
    """Shown once. ``uri``: what a QR code for apps holds; ``secret``: the same for typing, in base32."""

    secret: str
    uri: str


class RecoveryCodesData(Wire, frozen=True):
    """Shown once. Each one signs in once in place of the app's code."""

    recovery_codes: tuple[str, ...]


class OwnNothing(Wire, frozen=True): ...


def _proof(body: ProofBody) -> Credentials:
    return Credentials(body.password, given(body.otp))


async def _password(ctx: RequestContext, call: Call[AdminPasswordBody]) -> OwnNothing:
    body = call.body
    await admin_own_account.change_password(ctx, Credentials(body.current_password, given(body.otp)), body.new_password)
    return OwnNothing()


async def _show(ctx: RequestContext, call: Call[None]) -> SecondFactorData:
    me = ctx.admin.admin_id
    return await ctx.services.store.read(
        lambda unit: SecondFactorData(
            second_factor.is_enrolled(unit, me), second_factor.is_required(unit), second_factor.codes_left(unit, me)
        )
    )


async def _enrol(ctx: RequestContext, call: Call[ProofBody]) -> SecretData:
    secret = await admin_own_account.enrol(ctx, _proof(call.body))
    host = urlsplit(ctx.services.settings.public_url).hostname or ""
    return SecretData(secret, second_factor.address(secret, ctx.admin.username, host))


async def _confirm(ctx: RequestContext, call: Call[FirstCodeBody]) -> RecoveryCodesData:
    return RecoveryCodesData(await admin_own_account.confirm(ctx, call.body.password, call.body.otp))


async def _codes(ctx: RequestContext, call: Call[ProofBody]) -> RecoveryCodesData:
    return RecoveryCodesData(await admin_own_account.new_codes(ctx, _proof(call.body)))


async def _remove(ctx: RequestContext, call: Call[ProofBody]) -> OwnNothing:
    await admin_own_account.remove(ctx, _proof(call.body))
    return OwnNothing()


_BASE = "/api/admin/auth"
_FACTOR = f"{_BASE}/second-factor"
_PROOF = (InvalidCredentials, RateLimited, Overloaded)
ROUTES = (
    Route("POST", f"{_BASE}/password", _password, Access.ADMIN, "Set a new password; ends one's other sessions",
          limit=AUTH_LIMIT, refusals=_PROOF),
    Route("GET", _FACTOR, _show, Access.ADMIN, "Whether one has a second factor"),
    Route("POST", _FACTOR, _enrol, Access.ADMIN, "Begin to enrol a second factor (TOTP); its secret is shown once",
          limit=AUTH_LIMIT, status=201, refusals=(*_PROOF, Conflict)),
    Route("POST", f"{_FACTOR}/confirm", _confirm, Access.ADMIN,
          "Confirm it by a first code; ten recovery codes are shown once, one's other sessions end",
          limit=AUTH_LIMIT, refusals=(*_PROOF, Conflict)),
    Route("POST", f"{_FACTOR}/recovery-codes", _codes, Access.ADMIN, "Ten new recovery codes in place of those before",
          limit=AUTH_LIMIT, status=201, refusals=(*_PROOF, Conflict)),
    Route("POST", f"{_FACTOR}/remove", _remove, Access.ADMIN, "Remove one's second factor, unless one is required",
          limit=AUTH_LIMIT, refusals=(*_PROOF, Conflict)),
)  # fmt: skip
