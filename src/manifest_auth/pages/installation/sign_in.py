"""``/installation/sign-in``, ``…/sign-out`` and ``…/setup``: how system admins sign in, including the first one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.accounts.admins import management as admin_console
from manifest_auth.accounts.admins import second_factor
from manifest_auth.errors import (
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    NotFound,
    Refusal,
    TokenExpired,
    ValidationError,
)
from manifest_auth.http import Answer, cookies, host_cookie, host_name
from manifest_auth.pages import flash, step_up
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.console.frame import address
from manifest_auth.pages.routing import ADMIN_OVERVIEW, ADMIN_PROOF, ADMIN_SIGN_IN, admin_page, page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts, admin_sign_in
from manifest_auth.sign_in.admin_accounts import Credentials
from manifest_auth.sign_in.return_addresses import is_own_page
from manifest_auth.tenants import PasswordRules
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

PATH, CODE, SIGN_OUT = ADMIN_SIGN_IN, f"{ADMIN_SIGN_IN}/code", f"{admin_console.PATH}/sign-out"
SETUP = f"{admin_console.PATH}/setup"
_SIGN_IN_TEMPLATE, _CODE_TEMPLATE = "installation/sign_in.html", "installation/sign_in_code.html"
_WRONG = _("Incorrect user name or password.")
_WRONG_CODE = _("This code is incorrect or was already used. Wait for the next code in your app.")
Text = fields.TypedPassword
Address = Annotated[str, Meta(max_length=6000)]


class SignInQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The query of the page. ``return_to``: the requested page; ``out``: the admin has just signed out; ``late``: the
    second step took too long."""

    return_to: Address = ""
    out: Text = ""
    late: Text = ""


class SignInForm(msgspec.Struct, frozen=True, rename="camel"):
    username: Text = ""
    password: Text = ""
    return_to: Address = ""


class CodeForm(msgspec.Struct, frozen=True, rename="camel"):
    """The form of the second step. ``challenge``: proof that the password was correct, see
    :mod:`manifest_auth.sign_in.admin_sign_in`."""

    challenge: Annotated[str, Meta(max_length=2000)] = ""
    otp: Text = ""
    return_to: Address = ""


def _shown(ctx: RequestContext, call: PageCall[SignInForm] | PageCall[CodeForm]) -> str:
    return call.head.cookie(host_name(admin_console.COOKIE, ctx.services.settings)) or ""


def _coming_back_to(asked: str) -> str:
    """Returns a page of the installation, or the overview if the request names anything else."""
    return asked if asked.startswith(admin_console.PATH) and is_own_page(asked) else ADMIN_OVERVIEW


def _signed_in(ctx: RequestContext, cookie: str, path: str, done: str = "") -> Answer[None]:
    """Redirects to a page with the session's cookie. Forms from before the sign-in are void. ``done``: a keyword of
    that page for the completed action."""
    settings = ctx.services.settings
    headers = (
        host_cookie(admin_console.COOKIE, cookie, admin_console.MOST_S, settings, strict=True),
        cookies.form_cookie_line(cookies.new_form_cookie(ctx), settings),
    )
    return flash.after(ctx, path, done, headers) if done else see_other(path, headers)


def _signed_out(ctx: RequestContext, path: str) -> Answer[None]:
    """Redirects to a page without the cookies."""
    settings = ctx.services.settings
    headers = (
        host_cookie(admin_console.COOKIE, "", 0, settings, strict=True),
        cookies.form_cookie_line(cookies.new_form_cookie(ctx), settings),
    )
    return see_other(path, headers)


async def _show_sign_in(ctx: RequestContext, call: PageCall[SignInQuery]) -> View | Answer[None]:
    asked = call.fields
    if call.admin is not None:
        return see_other(_coming_back_to(asked.return_to))
    if await admin_accounts.is_setup_open(ctx):
        return see_other(SETUP)
    return View(
        SimpleNamespace(
            username="", return_to=_coming_back_to(asked.return_to), out=bool(asked.out), late=bool(asked.late)
        )
    )


async def _again_sign_in(ctx: RequestContext, call: PageCall[SignInForm]) -> View | Answer[None]:
    return View(
        SimpleNamespace(
            username=call.fields.username, return_to=_coming_back_to(call.fields.return_to), out=False, late=False
        )
    )


async def _sign_in(ctx: RequestContext, call: PageCall[SignInForm]) -> View | Answer[None]:
    form = call.fields
    needed = (("username", _("Enter your user name")), ("password", _("Enter your password")))
    missing = [(name, told) for name, told in needed if not getattr(form, name)]
    if missing:
        raise ValidationError(details=missing)
    try:
        opened = await admin_sign_in.sign_in(ctx, form.username, form.password, None, _shown(ctx, call))
    except MfaRequired as due:
        return View(CodeForm(due.challenge, return_to=_coming_back_to(form.return_to)), template=_CODE_TEMPLATE)
    except InvalidCredentials as refusal:
        raise InvalidCredentials(details=[("", _WRONG)], reason=refusal.reason) from None
    return _signed_in(ctx, opened.cookie, _coming_back_to(form.return_to))


async def _code_again(ctx: RequestContext, call: PageCall[CodeForm]) -> View | Answer[None]:
    return View(CodeForm(call.fields.challenge, return_to=_coming_back_to(call.fields.return_to)))


async def _code(ctx: RequestContext, call: PageCall[CodeForm]) -> View | Answer[None]:
    form = call.fields
    try:
        opened = await admin_sign_in.continue_sign_in(ctx, form.challenge, form.otp.strip(), _shown(ctx, call))
    except MfaRequired as wrong:
        raise InvalidCredentials(details=[("otp", _WRONG_CODE)], reason=wrong.reason, replay=wrong.replay) from None
    except (InvalidToken, TokenExpired):
        return see_other(address(PATH, returnTo=form.return_to, late="yes"))
    return _signed_in(ctx, opened.cookie, _coming_back_to(form.return_to))


async def _sign_out(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    if call.admin is not None:
        await admin_sign_in.sign_out(ctx)
    return _signed_out(ctx, f"{PATH}?out=yes")


class ProofQuery(msgspec.Struct, frozen=True, rename="camel"):
    return_to: Address = ""


class ProofForm(ProofQuery, frozen=True, rename="camel"):
    """The form for re-authentication. Its names differ from all field names of the form's page, for password
    managers."""

    proof_password: Text = ""
    proof_otp: Text = ""


async def _show_proof(ctx: RequestContext, call: PageCall[ProofQuery]) -> View | Answer[None]:
    back, me = _coming_back_to(call.fields.return_to), ctx.admin.admin_id
    asks_code = await ctx.services.store.read(lambda unit: second_factor.is_enrolled(unit, me))
    return View(SimpleNamespace(return_to=back, leaving=step_up.leaving(back), asks_code=asks_code))


async def _prove(ctx: RequestContext, call: PageCall[ProofForm]) -> View | Answer[None]:
    form = call.fields
    if not form.proof_password:
        raise ValidationError(details=[("proofPassword", _("Enter your password"))])
    try:
        await admin_accounts.reauthenticate(ctx, Credentials(form.proof_password, form.proof_otp or None))
    except InvalidCredentials as refusal:
        raise step_up.beside_proof(refusal, "proofPassword", "proofOtp") from None
    return see_other(_coming_back_to(form.return_to))


_PROOF_TEMPLATE = "installation/prove.html"
_SETUP_TEMPLATE = "installation/setup.html"


class SetupForm(msgspec.Struct, frozen=True):
    code: Text = ""
    username: Text = ""
    password: Text = ""


async def _show_setup(ctx: RequestContext, call: PageCall[SetupForm | None]) -> View | Answer[None]:
    """Shows the setup page. Raises NotFound once there is a system admin."""
    if not await admin_accounts.is_setup_open(ctx):
        raise NotFound()
    username = call.fields.username if call.fields else ""
    return View(SimpleNamespace(username=username, min_length=PasswordRules().min_length))


async def _set_up(ctx: RequestContext, call: PageCall[SetupForm]) -> View | Answer[None]:
    form = call.fields
    await admin_accounts.set_up(ctx, form.code, form.username, form.password)
    try:
        opened = await admin_sign_in.sign_in(ctx, form.username, form.password, shown="")
    except Refusal:  # the account exists and can sign in on its own page
        return see_other(PATH)
    return _signed_in(ctx, opened.cookie, ADMIN_OVERVIEW, done="set-up")


ROUTES = (
    page("GET", PATH, _show_sign_in, _SIGN_IN_TEMPLATE, "Sign in as a system admin"),
    page("POST", PATH, _sign_in, _SIGN_IN_TEMPLATE, "User name and password of a system admin", again=_again_sign_in),
    page(
        "POST",
        CODE,
        _code,
        _CODE_TEMPLATE,
        "The code of a system admin's second factor",
        again=_code_again,
        form_at=PATH,
    ),
    page("POST", SIGN_OUT, _sign_out, "", "End a system admin's session on these pages", form_at=PATH),
    admin_page("GET", ADMIN_PROOF, _show_proof, _PROOF_TEMPLATE, "Ask a system admin to confirm their identity"),
    admin_page("POST", ADMIN_PROOF, _prove, _PROOF_TEMPLATE, "Confirm it, and return", once=False),
    page("GET", SETUP, _show_setup, _SETUP_TEMPLATE, "Enter the setup code, until there is a system admin"),
    page("POST", SETUP, _set_up, _SETUP_TEMPLATE, "Create the first system admin, and sign in", once=True),
)
