"""The session cookie's line, the device marker's line, and the cross-site check for requests that a cookie signs."""

from __future__ import annotations

from urllib.parse import urlsplit

from manifest_auth.errors import Forbidden
from manifest_auth.http.answers import Header
from manifest_auth.http.head import Head
from manifest_auth.runtime.settings import Settings

SESSION = "session"
DEVICE = "device"
_DEVICE_AGE = 400 * 86400  # seconds; browsers keep no cookie longer
_FLOW_PATH = "/api/client/auth"
_SAFE = frozenset({"GET", "HEAD"})


def session_cookie(value: str, max_age: int, settings: Settings) -> Header:
    """``Set-Cookie`` of the session (contract, section 4); an empty value with age 0 takes it away again."""
    return _line(SESSION, value, max_age, settings, "/")


def device_cookies(value: str, settings: Settings) -> tuple[Header, Header]:
    """``Set-Cookie`` of the marker by which the throttle knows a device that signed in before, on pages and by the API;
    and of the one below the API alone, which servers before this one set, to take it away: of two values under one name
    neither counts."""
    return _line(DEVICE, value, _DEVICE_AGE, settings, "/"), _line(DEVICE, "", 0, settings, _FLOW_PATH)


def flow_cookie(name: str, value: str, max_age: int, settings: Settings, *, cross_site: bool) -> Header:
    """``Set-Cookie`` that binds a sign-in under way to its browser; an empty value with age 0 takes it away again.

    ``cross_site``: the provider answers by a form post, with which a browser sends ``SameSite=None`` cookies alone.
    Those must be ``Secure``, so a server on plain http falls back to ``Lax``: good for providers on the same site.
    """
    if cross_site and settings.secure_cookies:
        line = f"{name}={value}; Max-Age={max_age}; Path={_FLOW_PATH}; HttpOnly; SameSite=None; Secure"
        return b"set-cookie", line.encode()
    return _line(name, value, max_age, settings, _FLOW_PATH)


def host_cookie(name: str, value: str, max_age: int, settings: Settings, *, strict: bool = False) -> Header:
    """``Set-Cookie`` of a cookie that pages alone use; an empty value with age 0 takes it away again."""
    _, line = _line(host_name(name, settings), value, max_age, settings, "/")
    return b"set-cookie", line.replace(b"SameSite=Lax", b"SameSite=Strict") if strict else line


def host_name(name: str, settings: Settings) -> str:
    """Its name: on https with the prefix by which a browser lets no other host, and no plain http, set it (RFC 6265bis,
    section 4.1.3.2)."""
    return f"__Host-{name}" if settings.secure_cookies else name


def _line(name: str, value: str, max_age: int, settings: Settings, path: str) -> Header:
    secure = "; Secure" if settings.secure_cookies else ""
    return b"set-cookie", f"{name}={value}; Max-Age={max_age}; Path={path}; HttpOnly; SameSite=Lax{secure}".encode()


def check_same_site(method: str, head: Head, settings: Settings, client: str, listed: tuple[str, ...]) -> None:
    """Refuses a cookie's request that changes state and comes from a site that the tenant did not list.

    Either header alone refuses, whatever the other one says. An ``Origin`` must be ours or listed, exactly (scheme,
    host, port); ``null`` is foreign. ``Sec-Fetch-Site`` must be one of the four values of its standard: what is on
    another site is never ours, and what is not of our own origin needs an ``Origin`` that says which one it is. A
    request with neither header is no browser's. Raises Forbidden.
    """
    if method in _SAFE:
        return
    origin, site = head.origin, head.fetch_site
    is_own = origin is not None and origin in _own_origins(settings, client)
    is_listed = origin is not None and not is_own and origin in listed
    if origin is not None and not is_own and not is_listed:
        raise Forbidden(reason=f"cookie request from foreign origin {origin!r}")
    if site in (None, "same-origin", "none") or (site == "cross-site" and is_listed):
        return
    if site != "same-site" or origin is None:
        raise Forbidden(reason=f"cookie request with Sec-Fetch-Site {site!r} and the origin {origin!r}")


def _own_origins(settings: Settings, client: str) -> tuple[str, str]:
    own = public_origin(settings)
    return own, own.replace("://", f"://{client}.", 1)


def public_origin(settings: Settings) -> str:
    """That of the public address, as browsers write it: lower case, and without the port that the scheme implies (RFC
    6454, section 6.2)."""
    url = urlsplit(settings.public_url)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    implied = {"http": 80, "https": 443}[url.scheme]
    port = "" if url.port in (None, implied) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"
