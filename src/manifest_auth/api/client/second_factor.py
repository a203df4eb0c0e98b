"""``/api/client/auth/sign-in/…``: a sign-in goes on with its second factor, or enrols one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidToken,
    MfaRequired,
    RateLimited,
    TokenExpired,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, Wire
from manifest_auth.http.cookies import browser_of, trust_cookie
from manifest_auth.http.sign_in_answer import SignInData, redirect_outcome, signed_in_answer
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.provider_flow import Outcome
from manifest_auth.sign_in.second_factor import continuing, enrollment, questions
from manifest_auth.sign_in.second_factor.questions import Answer as Given
from manifest_auth.text import fields

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
    return EnrolData(*await enrollment.enrol_totp(ctx, call.body.challenge))


_BASE = "/api/client/auth/sign-in"
ROUTES = (
    Route("POST", f"{_BASE}/continue", _continue, Access.OPEN, "Go on with the second factor", data=SignInData,
          limit=AUTH_LIMIT, refusals=_REFUSED),
    Route("POST", f"{_BASE}/enrol", _enrol, Access.OPEN, "Begin to enrol the second factor that is due",
          limit=AUTH_LIMIT, refusals=_ENROL_REFUSED, operation="enrolAtSignIn"),
)  # fmt: skip
