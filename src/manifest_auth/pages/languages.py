"""The six languages of the pages: their names, and which one a reader gets."""

from __future__ import annotations

from manifest_auth.http import Head, Header, host_cookie, host_name
from manifest_auth.http.request import weights
from manifest_auth.runtime.settings import Settings
from manifest_auth.text.languages import NAMES

LANGUAGES = NAMES
_COOKIE = "lang"
_COOKIE_S = 365 * 86_400


def choose(head: Head, settings: Settings, asked: str = "", own: str | None = None) -> str:
    """Returns the language that the address asks for, or else the cookie's, the user's ``own`` choice, or the browser's
    preferred one. Empty if none of them names any; then the client's default applies."""
    for wanted in (asked, head.cookie(host_name(_COOKIE, settings)) or "", own or ""):
        if wanted in LANGUAGES:
            return wanted
    liked = weights(head.line(b"accept-language"))
    found = [(weight, -place, tag.partition("-")[0]) for place, (tag, weight) in enumerate(liked.items()) if weight > 0]
    return next((tag for _, _, tag in sorted(found, reverse=True) if tag in LANGUAGES), "")


def cookie_line(language: str, settings: Settings) -> Header:
    """Returns the cookie of the language. An empty value resets the choice."""
    return host_cookie(_COOKIE, language, _COOKIE_S if language else 0, settings)
