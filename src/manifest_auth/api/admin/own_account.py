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
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, ok
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_own_account
from manifest_auth.sign_in.admin_own_account import Credentials
from manifest_auth.store import SystemUnit

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


class SecondFactorData(msgspec.Struct, frozen=True, rename="camel"):
    """``required``: of every system admin; those without one may do nothing but enrol."""

    enrolled: bool
    required: bool
    recovery_codes_left: int


class SecretData(msgspec.Struct, frozen=True):
    """Shown once. ``uri``: what a QR code for apps holds; ``secret``: the same for typing, in base32."""

    secret: str
    uri: str


class RecoveryCodesData(msgspec.Struct, frozen=True, rename="camel"):
    """Shown once. Each one signs in once in place of the app's code."""

    recovery_codes: tuple[str, ...]


class OwnNothing(msgspec.Struct, frozen=True):
    pass


def _shown(password: str, otp: str | UnsetType) -> Credentials:
    return Credentials(password, None if otp is UNSET else str(otp))


async def _password(ctx: RequestContext, call: Call[AdminPasswordBody]) -> Answer:
    await admin_own_account.change_password(
        ctx, _shown(call.body.current_password, call.body.otp), call.body.new_password
    )
    return ok({})


async def _show(ctx: RequestContext, call: Call[None]) -> Answer:
    me = ctx.admin.admin_id

    def work(unit: SystemUnit) -> tuple[bool, bool, int]:
        enrolled = second_factor.is_enrolled(unit, me)
        return enrolled, second_factor.is_required(unit), second_factor.codes_left(unit, me)

    enrolled, required, left = await ctx.services.store.read(work)
    return ok({"enrolled": enrolled, "required": required, "recoveryCodesLeft": left})


async def _enrol(ctx: RequestContext, call: Call[ProofBody]) -> Answer:
    secret = await admin_own_account.enrol(ctx, _shown(call.body.password, call.body.otp))
    host = urlsplit(ctx.services.settings.public_url).hostname or ""
    return ok({"secret": secret, "uri": second_factor.address(secret, ctx.admin.username, host)}, status=201)


async def _confirm(ctx: RequestContext, call: Call[FirstCodeBody]) -> Answer:
    return ok({"recoveryCodes": await admin_own_account.confirm(ctx, call.body.password, call.body.otp)})


async def _codes(ctx: RequestContext, call: Call[ProofBody]) -> Answer:
    return ok(
        {"recoveryCodes": await admin_own_account.new_codes(ctx, _shown(call.body.password, call.body.otp))}, status=201
    )


async def _remove(ctx: RequestContext, call: Call[ProofBody]) -> Answer:
    await admin_own_account.remove(ctx, _shown(call.body.password, call.body.otp))
    return ok({})


_BASE = "/api/admin/auth"
_FACTOR = f"{_BASE}/second-factor"
_PROOF = (InvalidCredentials, RateLimited, Overloaded)
ROUTES = (
    Route("POST", f"{_BASE}/password", _password, Access.ADMIN, "Set a new password; ends one's other sessions",
          AdminPasswordBody, OwnNothing, limit=AUTH_LIMIT, refusals=_PROOF),
    Route("GET", _FACTOR, _show, Access.ADMIN, "Whether one has a second factor", None, SecondFactorData),
    Route("POST", _FACTOR, _enrol, Access.ADMIN, "Begin to enrol a second factor (TOTP); its secret is shown once",
          ProofBody, SecretData, limit=AUTH_LIMIT, status=201, refusals=(*_PROOF, Conflict)),
    Route("POST", f"{_FACTOR}/confirm", _confirm, Access.ADMIN,
          "Confirm it by a first code; ten recovery codes are shown once, one's other sessions end",
          FirstCodeBody, RecoveryCodesData, limit=AUTH_LIMIT, refusals=(*_PROOF, Conflict)),
    Route("POST", f"{_FACTOR}/recovery-codes", _codes, Access.ADMIN, "Ten new recovery codes in place of those before",
          ProofBody, RecoveryCodesData, limit=AUTH_LIMIT, status=201, refusals=(*_PROOF, Conflict)),
    Route("POST", f"{_FACTOR}/remove", _remove, Access.ADMIN, "Remove one's second factor, unless one is required",
          ProofBody, OwnNothing, limit=AUTH_LIMIT, refusals=(*_PROOF, Conflict)),
)  # fmt: skip
