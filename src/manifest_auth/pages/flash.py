"""The sentence after a change, on the page to which the browser is redirected.

It is shown once, only by the page where the change was made, and never through a link. So another site can't make a
page claim that a password was changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manifest_auth.http import Answer, Header, host_cookie, host_name
from manifest_auth.pages.call import PageCall, see_other
from manifest_auth.services import RequestContext

_COOKIE = "said"
_LIFE_S = 60


def cookie_name(ctx: RequestContext) -> str:
    return host_name(_COOKIE, ctx.services.settings)


def after(ctx: RequestContext, path: str, what: str, headers: tuple[Header, ...] = ()) -> Answer[None]:
    """Redirects to a page, which then shows what was done. ``path``: with its query, if any; ``what``: a keyword of
    that page, consisting of letters, digits and hyphens."""
    said = host_cookie(_COOKIE, f"{what}@{_page(path)}", _LIFE_S, ctx.services.settings)
    return see_other(path, (said, *headers))


def word(ctx: RequestContext, call: PageCall[Any]) -> str:
    """Returns the keyword of the last action on this page, to be shown now; empty if there is none."""
    settings = ctx.services.settings
    what, _, where = (call.head.cookie(cookie_name(ctx)) or "").partition("@")
    if where != _page(call.here):
        return ""
    call.headers.append(host_cookie(_COOKIE, "", 0, settings))
    return what


def sentence(ctx: RequestContext, call: PageCall[Any], sentences: Mapping[str, str]) -> str:
    """Returns the sentence about the last action on this page; empty if there is none. ``sentences``: the page's
    sentences, by keyword."""
    return sentences.get(word(ctx, call), "")


def _page(address: str) -> str:
    return address.partition("?")[0]
