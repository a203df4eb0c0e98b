"""The cookie by which a browser is known before anyone is signed in: for forms of pages, and for passkeys."""

from __future__ import annotations

from manifest_auth.http.answers import Header
from manifest_auth.http.cookies import host_cookie, host_name
from manifest_auth.http.head import Head
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import RequestContext
from manifest_auth.text import base64url

FORM_COOKIE = "form"
FORM_COOKIE_S = 86_400
_COOKIE_BYTES = 16


def shown_cookie(head: Head, settings: Settings) -> str:
    """The form cookie that came along; empty where there is none, or one that is not ours."""
    value = head.cookie(host_name(FORM_COOKIE, settings)) or ""
    try:
        return value if len(base64url.decode(value)) == _COOKIE_BYTES else ""
    except ValueError:
        return ""


def new_cookie(ctx: RequestContext) -> str:
    """A browser's mark before anyone is signed in; drawn anew with each sign-in."""
    return ctx.services.random.text(_COOKIE_BYTES)


def cookie_line(value: str, settings: Settings) -> Header:
    return host_cookie(FORM_COOKIE, value, FORM_COOKIE_S, settings)
