"""``/installation/setup``: creates the first system admin, with the code that ``serve`` printed.

Once there is a system admin, the page does not exist.
"""

from __future__ import annotations

import msgspec

from manifest_auth.errors import NotFound, Refusal
from manifest_auth.http import Answer, cookies
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.installation import account, frame
from manifest_auth.pages.installation.sign_in import PATH as SIGN_IN
from manifest_auth.pages.installation.sign_in import SETUP
from manifest_auth.pages.routing import page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_own_account, console, first_run
from manifest_auth.sign_in.admin_own_account import Credentials
from manifest_auth.tenants import PasswordRules
from manifest_auth.text import fields

_TEMPLATE, _FACTOR_TEMPLATE = "installation/setup.html", "installation/setup_factor.html"
Text = fields.TypedPassword


class SetupForm(msgspec.Struct, frozen=True):
    code: Text = ""
    username: Text = ""
    password: Text = ""


class SetupView(msgspec.Struct, frozen=True):
    username: str
    min_length: int


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, SetupForm())


async def _again(ctx: RequestContext, call: PageCall[SetupForm]) -> View | Answer[None]:
    return await _view(ctx, call.fields)


async def _view(ctx: RequestContext, form: SetupForm) -> View:
    """Raises NotFound once there is a system admin."""
    if not await first_run.is_open(ctx):
        raise NotFound()
    return View(SetupView(form.username, PasswordRules().min_length))


async def _set_up(ctx: RequestContext, call: PageCall[SetupForm]) -> View | Answer[None]:
    form = call.fields
    await first_run.set_up(ctx, form.code, form.username, form.password)
    try:
        opened = await console.sign_in(ctx, form.username, form.password)
    except Refusal:  # the account is there, and signs in by its own page
        return see_other(SIGN_IN)
    try:
        return await _offer(ctx, call, opened.cookie)
    except Refusal:  # the account page offers it, too
        return frame.signed_in(ctx, opened.cookie, frame.OVERVIEW, done="set-up")


async def _offer(ctx: RequestContext, call: PageCall[SetupForm], cookie: str) -> View:
    """The secret of a second factor, which takes effect with its first code. It is shown this once, so no redirect
    comes before it."""
    ctx.caller = call.admin = await console.identify(ctx, cookie)
    secret = await admin_own_account.enrol(ctx, Credentials(call.fields.password, None))
    shown = await account.new_factor(ctx, secret)
    call.form_cookie = cookies.new_form_cookie(ctx)  # forms from before the sign-in are void
    return View(shown, headers=(frame.session_cookie(ctx, cookie),), template=_FACTOR_TEMPLATE)


ROUTES = (
    page("GET", SETUP, _show, _TEMPLATE, "Asks for the setup code, while there is no system admin", english=True),
    page("POST", SETUP, _set_up, _TEMPLATE, "Make the first system admin, and sign in", english=True, again=_again),
)  # fmt: skip
