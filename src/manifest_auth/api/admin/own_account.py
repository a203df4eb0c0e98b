"""``/api/admin/auth``: a system admin's own password and second factor.

Where a second factor is required, admins without one may call only these routes.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from manifest_auth.accounts.admins import second_factor
from manifest_auth.api.admin.auth import Otp
from manifest_auth.errors import Conflict, InvalidCredentials, Overloaded, RateLimited
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Time, Wire, or_none
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts
from manifest_auth.sign_in.admin_accounts import Credentials
from manifest_auth.text import fields
from manifest_auth.text.canonical import when


class ProofBody(msgspec.Struct, frozen=True):
    """``otp``: required where the admin has a second factor."""

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
    """``required``: every system admin needs one; those without one may only enrol."""

    enrolled: bool
    required: bool
    recovery_codes_left: int


class SecretData(Wire, frozen=True):
    """Returned once. ``uri``: the content of the QR code for authenticator apps; ``secret``: the same to type, in
    base32."""

    secret: str
    uri: str


class RecoveryCodesData(Wire, frozen=True):
    """Returned once. Each signs in once, in place of the app's code."""

    recovery_codes: tuple[str, ...]


class ProvedData(Wire, frozen=True):
    """``authenticatedAt``: acts that need a recent proof are open for ten minutes from then on."""

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
    host = urlsplit(ctx.services.settings.public_url).hostname or ""
    return SecretData(secret, second_factor.address(secret, ctx.admin.username, host))


async def _confirm(ctx: RequestContext, call: Call[FirstCodeBody]) -> RecoveryCodesData:
    return RecoveryCodesData(await admin_accounts.confirm(ctx, call.body.password, call.body.otp))


async def _codes(ctx: RequestContext, call: Call[ProofBody]) -> RecoveryCodesData:
    return RecoveryCodesData(await admin_accounts.new_codes(ctx, _proof(call.body)))


async def _remove(ctx: RequestContext, call: Call[ProofBody]) -> OwnNothing:
    await admin_accounts.remove(ctx, _proof(call.body))
    return OwnNothing()


_BASE = "/api/admin/auth"
_FACTOR = f"{_BASE}/second-factor"
_PROOF = (InvalidCredentials, RateLimited, Overloaded)
ROUTES = (
    Route("POST", f"{_BASE}/password", _password, Access.ADMIN, "Set your own new password; ends your other sessions",
          limit=AUTH_LIMIT, refusals=_PROOF, operation="adminChangePassword"),
    Route("POST", f"{_BASE}/reauthenticate", _reauthenticate, Access.ADMIN,
          "Prove again who you are, for acts that need it", limit=AUTH_LIMIT, refusals=_PROOF),
    Route("GET", _FACTOR, _read, Access.ADMIN, "Whether you have a second factor"),
    Route("POST", _FACTOR, _enrol, Access.ADMIN, "Start to enrol a second factor (TOTP); its secret is returned once",
          limit=AUTH_LIMIT, status=201, refusals=(*_PROOF, Conflict), operation="adminBeginSecondFactor"),
    Route("POST", f"{_FACTOR}/confirm", _confirm, Access.ADMIN,
          "Confirm it with a first code; returns ten recovery codes once, and ends your other sessions",
          limit=AUTH_LIMIT, refusals=(*_PROOF, Conflict)),
    Route("POST", f"{_FACTOR}/recovery-codes", _codes, Access.ADMIN, "Ten new recovery codes, which replace the "
                                                                     "previous ones",
          limit=AUTH_LIMIT, status=201, refusals=(*_PROOF, Conflict), operation="adminCreateRecoveryCodes"),
    Route("POST", f"{_FACTOR}/remove", _remove, Access.ADMIN, "Remove your second factor, unless one is required",
          limit=AUTH_LIMIT, refusals=(*_PROOF, Conflict), operation="adminRemoveSecondFactor"),
)  # fmt: skip
