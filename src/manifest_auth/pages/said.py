"""The sentence after a change, on the page to which the browser is redirected.

It is shown once, and by no link: another site cannot make a page say that a password was changed.
"""

from __future__ import annotations

from typing import Any

from manifest_auth.http import Answer, Header, host_cookie, host_name
from manifest_auth.pages.call import PageCall, see_other
from manifest_auth.services import RequestContext

_COOKIE = "said"
_LIFE_S = 60


def after(ctx: RequestContext, path: str, what: str, headers: tuple[Header, ...] = ()) -> Answer[None]:
    """On to a page, which then says what was done. ``what``: a word of the page's own."""
    return see_other(path, (host_cookie(_COOKIE, what, _LIFE_S, ctx.services.settings), *headers))


def shown(ctx: RequestContext, call: PageCall[Any]) -> str:
    """What was done just before, to be shown now; empty for nothing."""
    settings = ctx.services.settings
    what = call.head.cookie(host_name(_COOKIE, settings)) or ""
    if what:
        call.headers.append(host_cookie(_COOKIE, "", 0, settings))
    return what
