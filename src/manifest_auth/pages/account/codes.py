"""``/account/codes``: how many recovery codes are left, and new ones."""

from __future__ import annotations

from manifest_auth.http import Answer
from manifest_auth.pages import brands
from manifest_auth.pages.account.frame import AccountView
from manifest_auth.pages.account.new_codes import codes_of
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import own

PATH = "/account/codes"
TEMPLATE = "account/codes.html"
_FEW = 3


class CodesView(AccountView, frozen=True, kw_only=True):
    """``has_factor``: there are codes only beside one; ``are_few``: it is time for new ones."""

    has_factor: bool
    left: int
    are_few: bool


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    found = await own.look(ctx)
    has_factor, left = bool(found.totp or found.passkeys), found.codes_left
    view = CodesView(has_factor=has_factor, left=left, are_few=has_factor and left < _FEW)
    return View(view, brand=brands.of_user(ctx.user))


async def _make(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return codes_of(ctx, await own.make_codes(ctx), PATH)


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "One's recovery codes", audience=Audience.SIGNED_IN),
    page("POST", PATH, _make, TEMPLATE, "Make new ones, shown once", audience=Audience.SIGNED_IN, again=_show),
)
