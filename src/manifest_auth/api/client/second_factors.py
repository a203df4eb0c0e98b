"""Second factors of a user: a sign-in that goes on with one, and the caller's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors.trusted_browsers import TrustedData
from manifest_auth.api.client.auth import EndedData, Nothing
from manifest_auth.api.client.passkeys import WirePasskey, shown
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidToken,
    MfaRequired,
    NotFound,
    RateLimited,
    TokenExpired,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, Time, Wire
from manifest_auth.http.cookies import browser_of, trust_cookie
from manifest_auth.http.sign_in_answer import SignInData, redirect_outcome, signed_in_answer
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.provider_flow import Outcome
from manifest_auth.sign_in.second_factor import continuing, enrollment, questions
from manifest_auth.sign_in.second_factor.enrollment import TotpSecretData
from manifest_auth.sign_in.second_factor.questions import Answer as Given
from manifest_auth.text import fields
from manifest_auth.text.canonical import when

Challenge = Annotated[str, Meta(min_length=1, max_length=200, description="Of `MFA_REQUIRED`.")]
Code = Annotated[str, Meta(min_length=1, max_length=64)]
Trust = Annotated[bool, Meta(description="Whether this browser is not asked for the second factor for a while.")]
#: A credential as `PublicKeyCredential.toJSON()` writes it (WebAuthn Level 3).
Credential = dict[str, Any]
_ENROL_REFUSED = (InvalidToken, TokenExpired, AccountDisabled, Forbidden, ValidationError)
_REFUSED = (*_ENROL_REFUSED, Conflict, MfaRequired, RateLimited)


class ContinueBody(msgspec.Struct, frozen=True, rename="camel"):
    """Exactly one of `otp`, `recoveryCode`, `passkey`, `newPasskey`."""

    challenge: Challenge
    otp: Code | None = None
    recovery_code: Code | None = None
    passkey: Credential | None = None
    new_passkey: Credential | None = None
    name: Annotated[str, fields.PASSKEY_NAME.typed, Meta(description="Of a new passkey.")] = ""
    trust: Trust = False


class EnrolBody(msgspec.Struct, frozen=True, rename="camel"):
    challenge: Challenge
    method: Literal["totp", "passkey"]


class EnrolData(Wire, frozen=True):
    """``secret``, ``uri`` and ``qr`` (SVG) of an authenticator app, or ``publicKey``, the options of a passkey."""

    secret: str | msgspec.UnsetType = msgspec.UNSET
    uri: str | msgspec.UnsetType = msgspec.UNSET
    qr: str | msgspec.UnsetType = msgspec.UNSET
    public_key: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


async def _continue(ctx: RequestContext, call: Call[ContinueBody]) -> Answer[Any]:
    body = call.body
    given = Given(body.otp, body.recovery_code, body.passkey, body.new_passkey, body.name)
    browser = browser_of(ctx, call.head)
    finished = await continuing.continue_sign_in(ctx, body.challenge, given, browser, trust=body.trust)
    if finished.signed_in is None:  # an app began the sign-in
        trust = trust_cookie(ctx, finished.account.tenant, finished.trust)
        return redirect_outcome(ctx, Outcome(finished.pending.return_to, code=finished.code), 303, trust)
    return signed_in_answer(ctx, finished.signed_in)


async def _enrol(ctx: RequestContext, call: Call[EnrolBody]) -> EnrolData:
    if call.body.method == "passkey":
        return EnrolData(public_key=await questions.to_enrol(ctx, call.body.challenge))
    app = await enrollment.enrol_totp(ctx, call.body.challenge)
    return EnrolData(app.secret, app.uri, app.qr)


_CHALLENGE_BASE = "/api/client/auth/sign-in"
CHALLENGE_ROUTES = (
    Route("POST", f"{_CHALLENGE_BASE}/continue", _continue, Access.OPEN, "Go on with the second factor",
          data=SignInData,
          limit=AUTH_LIMIT, refusals=_REFUSED),
    Route("POST", f"{_CHALLENGE_BASE}/enrol", _enrol, Access.OPEN, "Begin to enrol the second factor that is due",
          limit=AUTH_LIMIT, refusals=_ENROL_REFUSED, operation="enrolAtSignIn"),
)  # fmt: skip


class TotpConfirmBody(msgspec.Struct, frozen=True):
    otp: Annotated[str, Meta(min_length=1, max_length=64, description="That the app shows now.")]


class TotpData(Wire, frozen=True):
    created_at: Time
    last_used_at: Time | None


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


class FactorCodesData(Wire, frozen=True):
    """``recoveryCodes``: ten after the first factor and after new ones were asked for, else none. Returned once."""

    recovery_codes: tuple[str, ...]


async def _look(ctx: RequestContext, call: Call[None]) -> FactorsData:
    found = await enrollment.look_at_factors(ctx)
    return FactorsData(
        TotpData.of(found.totp) if found.totp is not None else None,
        tuple(map(shown, found.passkeys)),
        found.codes_left,
        tuple(found.trusted),
        PolicyData(found.is_required, when(found.due_at) if found.due_at is not None else None, found.methods),
    )


async def _begin(ctx: RequestContext, call: Call[None]) -> TotpSecretData:
    return await enrollment.begin_totp(ctx)


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


_FACTOR_BASE = "/api/client/auth/second-factors"
FACTOR_ROUTES = (
    Route("GET", _FACTOR_BASE, _look, Access.CLIENT, "Your second factors, and what your organisation asks for"),
    Route("POST", f"{_FACTOR_BASE}/totp", _begin, Access.CLIENT, "Begin to set an authenticator app up, or another one",
          status=201, limit=AUTH_LIMIT, refusals=(ValidationError,), operation="beginTotp"),
    Route("POST", f"{_FACTOR_BASE}/totp/confirm", _confirm, Access.CLIENT,
          "Confirm the new app with its first code; your other sessions end",
          limit=AUTH_LIMIT, refusals=(ValidationError, Conflict), operation="confirmTotp"),
    Route("DELETE", f"{_FACTOR_BASE}/totp", _remove, Access.CLIENT,
          "Remove your authenticator app; your other sessions end",
          limit=AUTH_LIMIT, refusals=(NotFound, Conflict), operation="deleteTotp"),
    Route("POST", f"{_FACTOR_BASE}/recovery-codes", _make_codes, Access.CLIENT,
          "Ten new recovery codes, which void the former ones", status=201, limit=AUTH_LIMIT, refusals=(Conflict,),
          operation="createRecoveryCodes"),
    Route("DELETE", f"{_FACTOR_BASE}/trusted", _end_trust, Access.CLIENT, "End the trust of all of your browsers",
          limit=AUTH_LIMIT, operation="deleteTrustedBrowsers"),
    Route("DELETE", f"{_FACTOR_BASE}/trusted/{{id}}", _end_one, Access.CLIENT, "End the trust of one of your browsers",
          limit=AUTH_LIMIT, refusals=(NotFound,), operation="deleteTrustedBrowser"),
)  # fmt: skip
