"""The answer of every sign-in, for all methods: tokens, user and cookies."""

from __future__ import annotations

import msgspec

from manifest_auth.http import Answer, Header, Time, Wire, ok
from manifest_auth.http.cookies import cookies_of
from manifest_auth.permissions import role_names
from manifest_auth.services import Owner, RequestContext
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.text.canonical import when


class WireUser(Wire, frozen=True):
    id: int
    email: str
    first_name: str
    last_name: str
    roles: tuple[str, ...]
    client_id: str


class SignInData(Wire, frozen=True):
    token: str
    refresh_token: str
    expires_in: int
    user: WireUser
    password_change_due: bool | msgspec.UnsetType = msgspec.UNSET
    second_factor_due: Time | msgspec.UnsetType = msgspec.UNSET
    recovery_codes: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def signed_in_answer(ctx: RequestContext, signed_in: SignedIn, headers: tuple[Header, ...] = ()) -> Answer[SignInData]:
    """Tokens and user in the envelope, and the cookies."""
    user = signed_in.user
    ctx.owner = Owner(signed_in.tenant.settings, user.roles)
    shown = WireUser.of(user, roles=role_names(user.roles), client_id=signed_in.tenant.identifier)
    due = True if signed_in.password_due else msgspec.UNSET
    factor_due = when(signed_in.factor_due_at) if signed_in.factor_due_at is not None else msgspec.UNSET
    codes = signed_in.recovery_codes or msgspec.UNSET
    data = SignInData(*signed_in.pair, shown, due, factor_due, codes)
    return ok(data, headers=(*cookies_of(ctx, signed_in), *headers))
