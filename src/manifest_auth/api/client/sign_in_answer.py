"""The answer of every sign-in, for all methods: tokens, user and cookies."""

from __future__ import annotations

import msgspec

from manifest_auth import tenants
from manifest_auth.http import DEVICE, SESSION, Answer, Head, Header, Wire, device_cookie, ok, session_cookie
from manifest_auth.permissions import role_names
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import device_cookies
from manifest_auth.sign_in.completion import BrowserCookies, SignedIn


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


def browser_of(head: Head) -> BrowserCookies:
    """The session and device cookies of a request."""
    return BrowserCookies(head.cookie(SESSION), device_cookies.shaped(head.cookie(DEVICE)))


def cookies_of(ctx: RequestContext, signed_in: SignedIn) -> tuple[Header, ...]:
    """The ``Set-Cookie`` headers of a new session."""
    settings = ctx.services.settings
    idle_s = tenants.lengths_of(tenants.settings_of(signed_in.tenant.settings), settings).idle_s
    headers = [session_cookie(signed_in.cookie, idle_s, settings)]
    if signed_in.device:
        headers.append(device_cookie(signed_in.device, settings))
    return tuple(headers)


def signed_in_answer(ctx: RequestContext, signed_in: SignedIn, headers: tuple[Header, ...] = ()) -> Answer[SignInData]:
    """Tokens and user in the envelope, and the cookies."""
    user = signed_in.user
    shown = WireUser.of(user, roles=role_names(user.roles), client_id=signed_in.tenant.identifier)
    due = True if signed_in.password_due else msgspec.UNSET
    return ok(SignInData(*signed_in.pair, shown, due), headers=(*cookies_of(ctx, signed_in), *headers))
