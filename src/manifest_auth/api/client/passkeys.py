"""``/api/client/auth/…passkey…``: sign-in with a passkey, and one's own passkeys."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors.passkey_rows import Passkey
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    InvalidCredentials,
    InvalidToken,
    NotFound,
    RateLimited,
    TokenExpired,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, Time, Wire, ok
from manifest_auth.http.cookies import browser_of, form_cookie_line, new_form_cookie, shown_form_cookie
from manifest_auth.http.sign_in_answer import SignInData, signed_in_answer
from manifest_auth.protocols import webauthn
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import own, sign_in
from manifest_auth.sign_in.second_factor import questions
from manifest_auth.text import fields

#: A credential as `PublicKeyCredential.toJSON()` writes it (WebAuthn Level 3, section 5.1).
Credential = Annotated[dict[str, Any], Meta(description="As `PublicKeyCredential.toJSON()` writes it.")]
Name = Annotated[str, fields.PASSKEY_NAME.typed, Meta(description="Empty: the authenticator's own name, where known.")]


class OptionsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    challenge: (
        Annotated[str, Meta(min_length=1, max_length=200, description="Of `MFA_REQUIRED`; left out: sign in with it.")]
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
    """``publicKey``: for ``PublicKeyCredential.parse…OptionsFromJSON()``."""

    public_key: dict[str, Any]


class WirePasskey(Wire, frozen=True):
    """``backedUp``: whether it is synced; ``provider``: the authenticator's name, null where it is not known."""

    id: str
    name: str
    created_at: Time
    last_used_at: Time | None
    backed_up: bool
    provider: str | None


class NewPasskeyData(Wire, frozen=True):
    """``recoveryCodes``: of the first factor, shown once."""

    passkey: WirePasskey
    recovery_codes: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class NoData(Wire, frozen=True): ...


def shown(row: Passkey) -> WirePasskey:
    """The passkey as its owner sees it."""
    return WirePasskey.of(row, backed_up=bool(row.backup_state), provider=webauthn.provider_of(row.aaguid))


async def _options(ctx: RequestContext, call: Call[OptionsBody]) -> Answer[OptionsData]:
    if call.body.challenge is not None:
        return ok(OptionsData(await questions.to_answer(ctx, call.body.challenge)))
    settings = ctx.services.settings
    cookie = shown_form_cookie(call.head, settings)
    holder = cookie or new_form_cookie(ctx)
    found = OptionsData(await sign_in.options(ctx, holder))
    return ok(found, headers=() if cookie else (form_cookie_line(holder, settings),))


async def _sign_in(ctx: RequestContext, call: Call[CredentialBody]) -> Answer[SignInData]:
    holder = shown_form_cookie(call.head, ctx.services.settings)
    given = sign_in.PasskeyAnswer(call.body.credential, holder, ctx.client_hint.client, browser_of(ctx, call.head))
    return signed_in_answer(ctx, await sign_in.sign_in(ctx, given))


async def _begin(ctx: RequestContext, call: Call[None]) -> OptionsData:
    return OptionsData(await own.begin(ctx))


async def _add(ctx: RequestContext, call: Call[NewPasskeyBody]) -> NewPasskeyData:
    added = await own.add(ctx, call.body.credential, call.body.name)
    return NewPasskeyData(shown(added.passkey), added.recovery_codes or msgspec.UNSET)


async def _rename(ctx: RequestContext, call: Call[NameBody]) -> WirePasskey:
    return shown(await own.rename(ctx, call.path["id"], call.body.name))


async def _remove(ctx: RequestContext, call: Call[None]) -> NoData:
    await own.remove(ctx, call.path["id"])
    return NoData()


_BASE = "/api/client/auth"
ROUTES = (
    Route("POST", f"{_BASE}/sign-in/passkey/options", _options, Access.OPEN, "Begin to answer with a passkey",
          limit=AUTH_LIMIT, refusals=(InvalidToken, TokenExpired, RateLimited, Conflict),
          operation="getPasskeySignInOptions"),
    Route("POST", f"{_BASE}/sign-in/passkey", _sign_in, Access.OPEN, "Sign in with a passkey alone",
          limit=AUTH_LIMIT, refusals=(InvalidCredentials, AccountDisabled, RateLimited, Conflict),
          operation="signInWithPasskey"),
    Route("POST", f"{_BASE}/passkeys/options", _begin, Access.CLIENT, "Begin to add a passkey",
          limit=AUTH_LIMIT, refusals=(ValidationError, Conflict), operation="getNewPasskeyOptions"),
    Route("POST", f"{_BASE}/passkeys", _add, Access.CLIENT, "Add a passkey; ends your other sessions",
          limit=AUTH_LIMIT, status=201, refusals=(ValidationError, Conflict, InvalidToken)),
    Route("PATCH", f"{_BASE}/passkeys/{{id}}", _rename, Access.CLIENT, "Rename one of your passkeys",
          limit=AUTH_LIMIT, refusals=(ValidationError, NotFound)),
    Route("DELETE", f"{_BASE}/passkeys/{{id}}", _remove, Access.CLIENT,
          "Remove one of your passkeys; ends your other sessions", limit=AUTH_LIMIT, refusals=(NotFound, Conflict)),
)  # fmt: skip
