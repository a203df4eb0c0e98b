"""The cookies of a sign-in: those that come along with it, and those that it sets."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.http.answers import Header
from manifest_auth.http.cookies import DEVICE, SESSION, device_cookies, session_cookie
from manifest_auth.http.head import Head
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import device_cookies as device_markers
from manifest_auth.sign_in.completion import BrowserCookies, SignedIn


def browser_of(head: Head) -> BrowserCookies:
    """The cookies that came along with a sign-in."""
    return BrowserCookies(head.cookie(SESSION), device_markers.shaped(head.cookie(DEVICE)))


def cookies_of(ctx: RequestContext, signed_in: SignedIn) -> tuple[Header, ...]:
    """``Set-Cookie`` lines of a session that began."""
    settings = ctx.services.settings
    idle_s = tenants.lengths_of(tenants.settings_of(signed_in.tenant.settings), settings).idle_s
    line = session_cookie(signed_in.cookie, idle_s, settings)
    return (line, *device_cookies(signed_in.device, settings)) if signed_in.device else (line,)
