"""Cookies: ``Set-Cookie`` headers, the cross-site check, the cookie of forms, and the cookies of a sign-in."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.errors import Forbidden
from manifest_auth.http.answers import Header
from manifest_auth.http.request import Head
from manifest_auth.runtime.settings import DAY, Settings, public_origin
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import browser_identity as device_markers
from manifest_auth.sign_in import session_lifecycle
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.tenants import Tenant
from manifest_auth.text import base64url

SESSION = "session"
APP = "app"  # sessions for apps, of clients other than the one that the browser is signed in to
DEVICE = "device"  # contains the markers by which rate limits recognize a device on which users have signed in
TRUST = "trust"
_DEVICE_AGE = 400 * 86400  # seconds; browsers don't keep cookies longer
_FLOW_PATH = "/api/client/auth"
_SAFE = frozenset({"GET", "HEAD"})


def session_cookie(value: str, max_age: int, settings: Settings) -> Header:
    """Returns ``Set-Cookie`` for the session. ``max_age`` is in seconds. An empty value with age 0 deletes the
    cookie."""
    return _line(SESSION, value, max_age, settings, "/")


def flow_cookie(name: str, value: str, max_age: int, settings: Settings, *, cross_site: bool) -> Header:
    """Returns ``Set-Cookie`` that binds a running sign-in to its browser. An empty value with age 0 deletes the cookie.

    ``cross_site`` means that the provider responds with a form post, with which browsers send only ``SameSite=None``
    cookies. These must be ``Secure``, so a server on plain HTTP uses ``Lax``, which works for providers on the same
    site.
    """
    if cross_site and settings.secure_cookies:
        line = f"{name}={value}; Max-Age={max_age}; Path={_FLOW_PATH}; HttpOnly; SameSite=None; Secure"
        return b"set-cookie", line.encode()
    return _line(name, value, max_age, settings, _FLOW_PATH)


def host_cookie(name: str, value: str, max_age: int, settings: Settings, *, strict: bool = False) -> Header:
    """Returns ``Set-Cookie`` for a cookie that only pages use. An empty value with age 0 deletes it."""
    _, line = _line(host_name(name, settings), value, max_age, settings, "/")
    return b"set-cookie", line.replace(b"SameSite=Lax", b"SameSite=Strict") if strict else line


def host_name(name: str, settings: Settings) -> str:
    """The full name of the cookie. On HTTPS, it has the prefix that prevents other hosts and plain HTTP from setting it
    (RFC 6265bis, section 4.1.3.2)."""
    return f"__Host-{name}" if settings.secure_cookies else name


def _line(name: str, value: str, max_age: int, settings: Settings, path: str) -> Header:
    secure = "; Secure" if settings.secure_cookies else ""
    return b"set-cookie", f"{name}={value}; Max-Age={max_age}; Path={path}; HttpOnly; SameSite=Lax{secure}".encode()


def check_same_site(method: str, head: Head, settings: Settings, client: str, listed: tuple[str, ...]) -> None:
    """Rejects a state-changing request with a cookie from a site that the client doesn't list (CSRF).

    Each header can reject the request on its own. ``Origin`` must exactly match the server's own origin or a listed one
    (scheme, host, port); ``null`` is rejected. ``Sec-Fetch-Site`` must be one of the four standard values:
    ``cross-site`` requires a listed ``Origin``, and ``same-site`` requires any ``Origin`` that passed. A request with
    neither header doesn't come from a browser. Raises Forbidden.
    """
    if method in _SAFE:
        return
    origin, site = head.origin, head.fetch_site
    is_own = origin is not None and origin in _own_origins(settings, client)
    is_listed = origin is not None and not is_own and origin in listed
    if origin is not None and not is_own and not is_listed:
        told = [("Origin", "The client doesn't allow this origin, so the session cookie is ignored")]
        raise Forbidden(details=told, reason=f"cookie request from foreign origin {origin!r}")
    if site in (None, "same-origin", "none") or (site == "cross-site" and is_listed):
        return
    if site != "same-site" or origin is None:
        raise Forbidden(reason=f"cookie request with Sec-Fetch-Site {site!r} and the origin {origin!r}")


def _own_origins(settings: Settings, client: str) -> tuple[str, str]:
    own = public_origin(settings)
    return own, own.replace("://", f"://{client}.", 1)


#: Identifies a browser before anyone signs in, for forms on pages and for passkeys.
FORM_COOKIE = "form"
FORM_COOKIE_S = 86_400
_COOKIE_BYTES = 16


def shown_form_cookie(head: Head, settings: Settings) -> str:
    """Returns the request's form cookie. Empty if there is none, or if this server didn't issue it."""
    value = head.cookie(host_name(FORM_COOKIE, settings)) or ""
    try:
        return value if len(base64url.decode(value)) == _COOKIE_BYTES else ""
    except ValueError:
        return ""


def new_form_cookie(ctx: RequestContext) -> str:
    """Creates a value that identifies a browser before anyone signs in. Sign-ins replace it, except those for apps."""
    return ctx.services.random.text(_COOKIE_BYTES)


def form_cookie_line(value: str, settings: Settings) -> Header:
    return host_cookie(FORM_COOKIE, value, FORM_COOKIE_S, settings)


def browser_of(ctx: RequestContext, head: Head) -> BrowserCookies:
    """The cookies of a request that a sign-in uses."""
    settings = ctx.services.settings
    device, trust = (head.cookie(host_name(name, settings)) for name in (DEVICE, TRUST))
    markers = device_markers.read_device_cookie(device)
    return BrowserCookies(head.cookie(SESSION), markers, trust, beside_of(head, settings))


def beside_of(head: Head, settings: Settings) -> tuple[str, ...]:
    """The cookies of sessions for apps of other clients."""
    value = head.cookie(host_name(APP, settings))
    return tuple(value.split("."))[: device_markers.MOST_BESIDE] if value else ()


def beside_cookie(values: tuple[str, ...], settings: Settings) -> Header:
    """Returns ``Set-Cookie`` for sessions for apps. It lives as long as one of them can be idle in any client."""
    return host_cookie(APP, ".".join(values), settings.session_idle_ttl if values else 0, settings)


def cookies_of(ctx: RequestContext, signed_in: SignedIn) -> tuple[Header, ...]:
    """Returns the ``Set-Cookie`` lines for a new session; none if it has no cookie."""
    settings = ctx.services.settings
    if not signed_in.cookie:
        return ()
    idle_s = tenants.lengths_of(tenants.settings_of(signed_in.tenant.settings), settings).idle_seconds
    beside = signed_in.beside
    lines = [] if beside else [session_cookie(signed_in.cookie, idle_s, settings)]
    if beside is not None:
        lines.append(beside_cookie(beside, settings))
    if signed_in.device:
        lines.append(host_cookie(DEVICE, signed_in.device, _DEVICE_AGE, settings))
    return (*lines, *trust_cookie(ctx, signed_in.tenant, signed_in.trust))


async def after_sign_out(ctx: RequestContext, head: Head) -> tuple[Header, ...]:
    """Returns the ``Set-Cookie`` lines after the browser's session ends. Sessions for apps of other clients end too."""
    settings, line = ctx.services.settings, session_cookie("", 0, ctx.services.settings)
    if not (beside := beside_of(head, settings)):
        return (line,)
    await session_lifecycle.end_beside(ctx, beside)
    return line, beside_cookie((), settings)


def trust_cookie(ctx: RequestContext, tenant: Tenant, value: str | None) -> tuple[Header, ...]:
    """Returns the ``Set-Cookie`` line for a browser that a user of the client now trusts; none if it is None."""
    if value is None:
        return ()
    days = tenants.settings_of(tenant.settings).second_factor.trusted_days
    return (host_cookie(TRUST, value, days * DAY, ctx.services.settings),)
