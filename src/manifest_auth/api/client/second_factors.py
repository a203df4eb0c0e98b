"""``/api/client/auth/second-factors``: the caller's authenticator app, recovery codes and trusted browsers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.api.client.auth import EndedData, Nothing
from manifest_auth.api.client.passkeys import WirePasskey, shown
from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Time, Wire
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import enrollment
from manifest_auth.text.canonical import when


class TotpConfirmBody(msgspec.Struct, frozen=True):
    otp: Annotated[str, Meta(min_length=1, max_length=64, description="That the app shows now.")]


class TotpData(Wire, frozen=True):
    created_at: Time
    last_used_at: Time | None


class TrustedData(Wire, frozen=True):
    id: str
    user_agent: str
    address: str
    created_at: Time
    ends_at: Time


class PolicyData(Wire, frozen=True):
    """``required``: of the caller; ``dueAt``: from when on sign-in asks to enrol one, null where none is missing;
    ``methods``: what may be enrolled."""

    required: bool
    due_at: Time | None
    methods: tuple[str, ...]


class FactorsData(Wire, frozen=True):
    """``totp``: the authenticator app, null where there is none."""

    totp: TotpData | None
    passkeys: tuple[WirePasskey, ...]
    recovery_codes_left: int
    trusted: tuple[TrustedData, ...]
    policy: PolicyData


class TotpSecretData(Wire, frozen=True):
    """``secret``: base32; ``uri``: the same as `otpauth://` address; ``qr``: that address as SVG. Returned once."""

    secret: str
    uri: str
    qr: str


class FactorCodesData(Wire, frozen=True):
    """``recoveryCodes``: ten after the first factor and after new ones were asked for, else none. Returned once."""

    recovery_codes: tuple[str, ...]


async def _look(ctx: RequestContext, call: Call[None]) -> FactorsData:
    found = await enrollment.look_at_factors(ctx)
    return FactorsData(
        TotpData.of(found.totp) if found.totp is not None else None,
        tuple(map(shown, found.passkeys)),
        found.codes_left,
        tuple(TrustedData.of(row) for row in found.trusted),
        PolicyData(found.is_required, when(found.due_at) if found.due_at is not None else None, found.methods),
    )


async def _begin(ctx: RequestContext, call: Call[None]) -> TotpSecretData:
    return TotpSecretData(*await enrollment.begin_totp(ctx))


async def _confirm(ctx: RequestContext, call: Call[TotpConfirmBody]) -> FactorCodesData:
    return FactorCodesData(await enrollment.confirm_totp(ctx, call.body.otp))


async def _remove(ctx: RequestContext, call: Call[None]) -> Nothing:
    await enrollment.remove_totp(ctx)
    return Nothing()


async def _make_codes(ctx: RequestContext, call: Call[None]) -> FactorCodesData:
    return FactorCodesData(await enrollment.make_codes(ctx))


async def _end_trust(ctx: RequestContext, call: Call[None]) -> EndedData:
    return EndedData(await enrollment.end_trust(ctx))


async def _end_one(ctx: RequestContext, call: Call[None]) -> EndedData:
    return EndedData(await enrollment.end_trust(ctx, call.path["id"]))


_BASE = "/api/client/auth/second-factors"
ROUTES = (
    Route("GET", _BASE, _look, Access.CLIENT, "Your second factors, and what your organisation asks for"),
    Route("POST", f"{_BASE}/totp", _begin, Access.CLIENT, "Begin to set an authenticator app up, or another one",
          status=201, limit=AUTH_LIMIT, refusals=(ValidationError,), operation="beginTotp"),
    Route("POST", f"{_BASE}/totp/confirm", _confirm, Access.CLIENT,
          "Confirm the new app with its first code; your other sessions end",
          limit=AUTH_LIMIT, refusals=(ValidationError, Conflict), operation="confirmTotp"),
    Route("DELETE", f"{_BASE}/totp", _remove, Access.CLIENT, "Remove your authenticator app; your other sessions end",
          limit=AUTH_LIMIT, refusals=(NotFound, Conflict), operation="deleteTotp"),
    Route("POST", f"{_BASE}/recovery-codes", _make_codes, Access.CLIENT,
          "Ten new recovery codes, which void the former ones", status=201, limit=AUTH_LIMIT, refusals=(Conflict,),
          operation="createRecoveryCodes"),
    Route("DELETE", f"{_BASE}/trusted", _end_trust, Access.CLIENT, "End the trust of all of your browsers",
          limit=AUTH_LIMIT, operation="deleteTrustedBrowsers"),
    Route("DELETE", f"{_BASE}/trusted/{{id}}", _end_one, Access.CLIENT, "End the trust of one of your browsers",
          limit=AUTH_LIMIT, refusals=(NotFound,), operation="deleteTrustedBrowser"),
)  # fmt: skip
