"""The cookies of a sign-in: those that come along with it, and those that it sets."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.http.answers import Header
from manifest_auth.http.cookies import (
    DEVICE,
    SESSION,
    TRUST,
    device_cookies,
    host_cookie,
    host_name,
    session_cookie,
)
from manifest_auth.http.head import Head
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import device_cookies as device_markers
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.sign_in.identity import BrowserCookies
from manifest_auth.tenants import Tenant


def browser_of(ctx: RequestContext, head: Head) -> BrowserCookies:
    """The cookies that came along with a sign-in."""
    settings = ctx.services.settings
    device = head.cookie(host_name(DEVICE, settings)) or head.cookie(DEVICE)  # the latter of an earlier release
    return BrowserCookies(head.cookie(SESSION), device_markers.read(device), head.cookie(host_name(TRUST, settings)))


def cookies_of(ctx: RequestContext, signed_in: SignedIn) -> tuple[Header, ...]:
    """``Set-Cookie`` lines of a session that began; none of one that has no cookie."""
    settings = ctx.services.settings
    if not signed_in.cookie:
        return ()
    idle_s = tenants.lengths_of(tenants.settings_of(signed_in.tenant.settings), settings).idle_s
    lines = [session_cookie(signed_in.cookie, idle_s, settings)]
    if signed_in.device:
        lines += device_cookies(signed_in.device, settings)
    return (*lines, *trust_cookie(ctx, signed_in.tenant, signed_in.trust))


def trust_cookie(ctx: RequestContext, tenant: Tenant, value: str | None) -> tuple[Header, ...]:
    """The ``Set-Cookie`` line of a browser that a user of the client trusts from now on; none where it is None."""
    if value is None:
        return ()
    days = tenants.settings_of(tenant.settings).second_factor.trusted_days
    return (host_cookie(TRUST, value, days * DAY, ctx.services.settings),)
