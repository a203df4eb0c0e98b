"""Passkeys, second factors, and re-authentication: signing in with factors, and managing the caller's own factors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts.factors.passkey_rows import Passkey
from manifest_auth.accounts.factors.trusted_browsers import TrustedData
from manifest_auth.api.client.auth import EndedData, Nothing
from manifest_auth.api.client.identities import LinkData
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    NotFound,
    Overloaded,
    ProviderUnavailable,
    RateLimited,
    ReauthenticationRequired,
    SsoFailed,
    TokenExpired,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, Time, Wire, ok, or_none
from manifest_auth.http.cookies import browser_of, form_cookie_line, new_form_cookie, shown_form_cookie, trust_cookie
from manifest_auth.http.sign_in_answer import SignInData, redirect_outcome, set_flow_cookie, signed_in_answer
from manifest_auth.protocols import webauthn
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import reauthentication
from manifest_auth.sign_in.passkeys import sign_in
from manifest_auth.sign_in.providers.provider_flow import Outcome
from manifest_auth.sign_in.second_factor import continuing, enrollment, gate
from manifest_auth.sign_in.second_factor.enrollment import TotpSecretData
from manifest_auth.sign_in.second_factor.gate import Answer as Given
from manifest_auth.text import fields
from manifest_auth.text.canonical import when

#: A credential as `PublicKeyCredential.toJSON()` writes it (WebAuthn Level 3, section 5.1).
Credential = Annotated[dict[str, Any], Meta(description="As `PublicKeyCredential.toJSON()` writes it.")]
Name = Annotated[str, fields.PASSKEY_NAME.typed, Meta(description="Default: the authenticator's own name, if known.")]


class OptionsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    challenge: (
        Annotated[
            str,
            Meta(min_length=1, max_length=200, description="From `MFA_REQUIRED`. If omitted, the passkey signs in."),
        ]
        | None
    ) = None


class CredentialBody(msgspec.Struct, frozen=True):
    credential: Credential


class NewPasskeyBody(msgspec.Struct, frozen=True):
    credential: Credential
    name: Name = ""


class NameBody(msgspec.Struct, frozen=True):
    name: Annotated[str, fields.PASSKEY_NAME._replace(least=1).meta]


class OptionsData(Wire, frozen=True):
    """``publicKey``: the argument of ``PublicKeyCredential.parse…OptionsFromJSON()``."""

    public_key: dict[str, Any]


class WirePasskey(Wire, frozen=True):
    """``backedUp``: whether it is synced; ``provider``: the authenticator's name, or null if unknown."""

    id: str
    name: str
    created_at: Time
    last_used_at: Time | None
    backed_up: bool
    provider: str | None


class NewPasskeyData(Wire, frozen=True):
    """``recoveryCodes``: returned once, for the user's first factor."""

    passkey: WirePasskey
    recovery_codes: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class NoData(Wire, frozen=True): ...


def shown(row: Passkey) -> WirePasskey:
    """Converts a passkey for its owner."""
    return WirePasskey.of(row, backed_up=bool(row.backup_state), provider=webauthn.provider_of(row.aaguid))


async def _options(ctx: RequestContext, call: Call[OptionsBody]) -> Answer[OptionsData]:
    if call.body.challenge is not None:
        return ok(OptionsData(await gate.to_answer(ctx, call.body.challenge)))
    settings = ctx.services.settings
    cookie = shown_form_cookie(call.head, settings)
    holder = cookie or new_form_cookie(ctx)
    found = OptionsData(await sign_in.options(ctx, holder))
    return ok(found, headers=() if cookie else (form_cookie_line(holder, settings),))


async def _sign_in(ctx: RequestContext, call: Call[CredentialBody]) -> Answer[SignInData]:
    holder = shown_form_cookie(call.head, ctx.services.settings)
    given = sign_in.PasskeyAnswer(call.body.credential, holder, ctx.client_hint.client, browser_of(ctx, call.head))
    return signed_in_answer(ctx, await sign_in.sign_in(ctx, given))


async def _begin_passkey(ctx: RequestContext, call: Call[None]) -> OptionsData:
    return OptionsData(await enrollment.begin_passkey(ctx))


async def _add(ctx: RequestContext, call: Call[NewPasskeyBody]) -> NewPasskeyData:
    passkey, codes = await enrollment.add_passkey(ctx, call.body.credential, call.body.name)
    return NewPasskeyData(shown(passkey), codes or msgspec.UNSET)


async def _rename(ctx: RequestContext, call: Call[NameBody]) -> WirePasskey:
    return shown(await enrollment.rename_passkey(ctx, call.path["id"], call.body.name))


async def _remove_passkey(ctx: RequestContext, call: Call[None]) -> NoData:
    await enrollment.remove_passkey(ctx, call.path["id"])
    return NoData()


Challenge = Annotated[str, Meta(min_length=1, max_length=200, description="From `MFA_REQUIRED`.")]
Code = Annotated[str, Meta(min_length=1, max_length=64)]
Trust = Annotated[
    bool, Meta(description="Whether to trust this browser, so that it skips the second factor for some days.")
]
#: A credential as `PublicKeyCredential.toJSON()` writes it (WebAuthn Level 3).
_Given = dict[str, Any]
_ENROL_REFUSED = (InvalidToken, TokenExpired, AccountDisabled, Forbidden, ValidationError)
_REFUSED = (*_ENROL_REFUSED, Conflict, MfaRequired, RateLimited)


class ContinueBody(msgspec.Struct, frozen=True, rename="camel"):
    """Exactly one of `otp`, `recoveryCode`, `passkey`, `newPasskey`."""

    challenge: Challenge
    otp: Code | None = None
    recovery_code: Code | None = None
    passkey: _Given | None = None
    new_passkey: _Given | None = None
    name: Annotated[str, fields.PASSKEY_NAME.typed, Meta(description="For a new passkey.")] = ""
    trust: Trust = False


class EnrolBody(msgspec.Struct, frozen=True, rename="camel"):
    challenge: Challenge
    method: Literal["totp", "passkey"]


class EnrolData(Wire, frozen=True):
    """For an authenticator app, ``secret``, ``uri``, and ``qr`` (SVG). For a passkey, its options in ``publicKey``."""

    secret: str | msgspec.UnsetType = msgspec.UNSET
    uri: str | msgspec.UnsetType = msgspec.UNSET
    qr: str | msgspec.UnsetType = msgspec.UNSET
    public_key: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


async def _continue(ctx: RequestContext, call: Call[ContinueBody]) -> Answer[Any]:
    body = call.body
    given = Given(body.otp, body.recovery_code, body.passkey, body.new_passkey, body.name)
    browser = browser_of(ctx, call.head)
    finished = await continuing.continue_sign_in(ctx, body.challenge, given, browser, trust=body.trust)
    if finished.signed_in is None:  # an app started the sign-in
        trust = trust_cookie(ctx, finished.account.tenant, finished.trust)
        return redirect_outcome(ctx, Outcome(finished.pending.return_to, code=finished.code), 303, trust)
    return signed_in_answer(ctx, finished.signed_in)


async def _enrol(ctx: RequestContext, call: Call[EnrolBody]) -> EnrolData:
    if call.body.method == "passkey":
        return EnrolData(public_key=await gate.to_enrol(ctx, call.body.challenge))
    app = await enrollment.enrol_totp(ctx, call.body.challenge)
    return EnrolData(app.secret, app.uri, app.qr)


class TotpConfirmBody(msgspec.Struct, frozen=True):
    otp: Annotated[str, Meta(min_length=1, max_length=64, description="The code that the app shows now.")]


class TotpData(Wire, frozen=True):
    created_at: Time
    last_used_at: Time | None


class PolicyData(Wire, frozen=True):
    """``required``: whether the caller needs a second factor; ``dueAt``: when sign-in starts to require one, or null if
    the caller has one or needs none; ``methods``: what can be enrolled."""

    required: bool
    due_at: Time | None
    methods: tuple[str, ...]


class FactorsData(Wire, frozen=True):
    """``totp``: the authenticator app, or null."""

    totp: TotpData | None
    passkeys: tuple[WirePasskey, ...]
    recovery_codes_left: int
    trusted: tuple[TrustedData, ...]
    policy: PolicyData


class FactorCodesData(Wire, frozen=True):
    """``recoveryCodes``: ten codes after the first factor or a request for new ones, otherwise none. Returned once."""

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


class ReauthenticateBody(msgspec.Struct, frozen=True, rename="camel"):
    """The members that `REAUTHENTICATION_REQUIRED` names: the password, plus one factor if the account has any; or only
    a passkey."""

    password: fields.Password | UnsetType = UNSET
    otp: Code | UnsetType = UNSET
    recovery_code: Code | UnsetType = UNSET
    credential: Credential | UnsetType = UNSET


class AtProviderBody(msgspec.Struct, frozen=True, rename="camel"):
    provider: Annotated[str, Meta(max_length=63, description="Optional if you have only one identity.")] = ""
    return_to: Annotated[str, Meta(max_length=2000, description="A listed redirect URI, exactly as listed.")] = ""


class ReauthenticatedData(Wire, frozen=True):
    """``authenticatedAt``: the start of the ten minutes in which sensitive actions are allowed; ``amr``: the
    authentication methods."""

    authenticated_at: Time
    amr: tuple[str, ...]


async def _reauthenticate(ctx: RequestContext, call: Call[ReauthenticateBody]) -> ReauthenticatedData:
    body = call.body
    given = Given(or_none(body.otp), or_none(body.recovery_code), or_none(body.credential))
    at, amr = await reauthentication.reauthenticate(ctx, or_none(body.password), given, browser_of(ctx, call.head))
    return ReauthenticatedData(when(at), amr)


async def _proof_options(ctx: RequestContext, call: Call[None]) -> OptionsData:
    return OptionsData(await reauthentication.options(ctx))


async def _at_provider(ctx: RequestContext, call: Call[AtProviderBody]) -> Answer[LinkData]:
    started = await reauthentication.begin_at_provider(ctx, call.body.provider, call.body.return_to)
    return ok(LinkData(started.address), headers=(set_flow_cookie(ctx, started.begun, cross_site=started.cross_site),))


_CHALLENGE_BASE = "/api/client/auth/sign-in"
_FACTOR_BASE = "/api/client/auth/second-factors"
_PASSKEY_BASE = "/api/client/auth"
_PROOF_BASE = "/api/client/auth/reauthenticate"
ROUTES = (
    Route("POST", f"{_CHALLENGE_BASE}/continue", _continue, Access.OPEN, "Continue with the second factor",
          data=SignInData,
          limit=AUTH_LIMIT, refusals=_REFUSED),
    Route("POST", f"{_CHALLENGE_BASE}/enrol", _enrol, Access.OPEN, "Start setting up the required second factor",
          limit=AUTH_LIMIT, refusals=_ENROL_REFUSED, operation="enrolAtSignIn"),
    Route("GET", _FACTOR_BASE, _look, Access.CLIENT, "Get your second factors, and your organization's policy"),
    Route("POST", f"{_FACTOR_BASE}/totp", _begin, Access.CLIENT, "Start setting up or replacing an authenticator app",
          status=201, limit=AUTH_LIMIT, refusals=(ValidationError,), operation="beginTotp", asks=Act.FACTORS),
    Route("POST", f"{_FACTOR_BASE}/totp/confirm", _confirm, Access.CLIENT,
          "Confirm the new app with its first code; your other sessions end",
          limit=AUTH_LIMIT, refusals=(ValidationError, Conflict), operation="confirmTotp", asks=Act.FACTORS),
    Route("DELETE", f"{_FACTOR_BASE}/totp", _remove, Access.CLIENT,
          "Remove your authenticator app; your other sessions end",
          limit=AUTH_LIMIT, refusals=(NotFound, Conflict), operation="deleteTotp", asks=Act.FACTORS),
    Route("POST", f"{_FACTOR_BASE}/recovery-codes", _make_codes, Access.CLIENT,
          "Create ten new recovery codes, which replace the previous ones",
          status=201, limit=AUTH_LIMIT, refusals=(Conflict,),
          operation="createRecoveryCodes", asks=Act.FACTORS),
    Route("DELETE", f"{_FACTOR_BASE}/trusted", _end_trust, Access.CLIENT, "Remove the trust of all of your browsers",
          limit=AUTH_LIMIT, operation="deleteTrustedBrowsers", asks=Act.FACTORS),
    Route("DELETE", f"{_FACTOR_BASE}/trusted/{{id}}", _end_one, Access.CLIENT,
          "Remove the trust of one of your browsers",
          limit=AUTH_LIMIT, refusals=(NotFound,), operation="deleteTrustedBrowser", asks=Act.FACTORS),
    Route("POST", f"{_PASSKEY_BASE}/sign-in/passkey/options", _options, Access.OPEN, "Start signing in with a passkey",
          limit=AUTH_LIMIT, refusals=(InvalidToken, TokenExpired, RateLimited, Conflict),
          operation="getPasskeySignInOptions"),
    Route("POST", f"{_PASSKEY_BASE}/sign-in/passkey", _sign_in, Access.OPEN, "Sign in with only a passkey",
          limit=AUTH_LIMIT, refusals=(InvalidCredentials, AccountDisabled, RateLimited, Conflict),
          operation="signInWithPasskey"),
    Route("POST", f"{_PASSKEY_BASE}/passkeys/options", _begin_passkey, Access.CLIENT, "Start adding a passkey",
          limit=AUTH_LIMIT, refusals=(ValidationError, Conflict), operation="getNewPasskeyOptions", asks=Act.FACTORS),
    Route("POST", f"{_PASSKEY_BASE}/passkeys", _add, Access.CLIENT, "Add a passkey; ends your other sessions",
          limit=AUTH_LIMIT, status=201, refusals=(ValidationError, Conflict, InvalidToken), asks=Act.FACTORS),
    Route("PATCH", f"{_PASSKEY_BASE}/passkeys/{{id}}", _rename, Access.CLIENT, "Rename one of your passkeys",
          limit=AUTH_LIMIT, refusals=(ValidationError, NotFound), asks=Act.FACTORS),
    Route("DELETE", f"{_PASSKEY_BASE}/passkeys/{{id}}", _remove_passkey, Access.CLIENT,
          "Remove one of your passkeys; ends your other sessions", limit=AUTH_LIMIT, refusals=(NotFound, Conflict),
          asks=Act.FACTORS),
    Route("POST", _PROOF_BASE, _reauthenticate, Access.CLIENT, "Re-authenticate for a sensitive action",
          limit=AUTH_LIMIT,
          refusals=(ValidationError, InvalidCredentials, ReauthenticationRequired, Conflict, RateLimited, Overloaded),
          asks=NOTHING),
    Route("POST", f"{_PROOF_BASE}/options", _proof_options, Access.CLIENT,
          "Start re-authenticating with one of your passkeys", limit=AUTH_LIMIT, refusals=(Conflict,),
          operation="getReauthenticationOptions", asks=NOTHING),
    Route("POST", f"{_PROOF_BASE}/provider", _at_provider, Access.CLIENT,
          "Re-authenticate at your identity provider; returns the URL to send the browser to", limit=AUTH_LIMIT,
          refusals=(ValidationError, NotFound, Conflict, SsoFailed, ProviderUnavailable),
          operation="reauthenticateAtProvider", asks=NOTHING),
)  # fmt: skip
