"""``/sign-out``: asks, ends the session, and says so."""

from __future__ import annotations

from manifest_auth.http import Answer, cookies, session_cookie
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.routing import page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import session_lifecycle

PATH = "/sign-out"


async def _ask(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return View(brand=brands.of_user(call.user))


async def _end(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    settings = ctx.services.settings
    if call.user is not None:
        await session_lifecycle.sign_out(ctx)
    headers = (session_cookie("", 0, settings), cookies.form_cookie_line(cookies.new_form_cookie(ctx), settings))
    return see_other(PATH, headers)


ROUTES = (
    page("GET", PATH, _ask, "sign_in/out.html", "Asks whether to sign out"),
    page("POST", PATH, _end, "sign_in/out.html", "End this session", again=_ask),
)
