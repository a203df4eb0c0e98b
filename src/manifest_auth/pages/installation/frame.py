"""Parts that the installation pages share: where they lead after signing in and out, and words."""

from __future__ import annotations

from manifest_auth.accounts.admins import console
from manifest_auth.http import Answer, Header, cookies, host_cookie
from manifest_auth.pages import flash
from manifest_auth.pages.call import see_other
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.return_addresses import is_own_page

OVERVIEW = console.PATH


def coming_back_to(asked: str) -> str:
    """A page of the installation, the overview where something else was asked for."""
    return asked if asked.startswith(console.PATH) and is_own_page(asked) else OVERVIEW


def signed_in(ctx: RequestContext, cookie: str, path: str, done: str = "") -> Answer[None]:
    """On to a page, with the cookie of the session; forms from before the sign-in are void. ``done``: a word of that
    page, which says what was done."""
    headers = (
        session_cookie(ctx, cookie),
        cookies.form_cookie_line(cookies.new_form_cookie(ctx), ctx.services.settings),
    )
    return flash.after(ctx, path, done, headers) if done else see_other(path, headers)


def session_cookie(ctx: RequestContext, cookie: str) -> Header:
    """The header that gives a browser the cookie of a session."""
    return host_cookie(console.COOKIE, cookie, console.MOST_S, ctx.services.settings, strict=True)


def signed_out(ctx: RequestContext, path: str) -> Answer[None]:
    """On to a page, without the cookies."""
    settings = ctx.services.settings
    headers = (
        host_cookie(console.COOKIE, "", 0, settings, strict=True),
        cookies.form_cookie_line(cookies.new_form_cookie(ctx), settings),
    )
    return see_other(path, headers)


def one_of(asked: str, known: dict[str, str]) -> str:
    """``asked`` if it is among the known choices, else the first of them."""
    return asked if asked in known else next(iter(known))
