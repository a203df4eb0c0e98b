"""``/account/second-factor``: one's authenticator app, which is set up, replaced or removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, qr_codes
from manifest_auth.pages.account.frame import AccountView, just_done
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import account_page
from manifest_auth.pages.sign_in.second_factor import ENROL_WRONG
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import enrollment
from manifest_auth.sign_in.second_factor.enrollment import Own, TotpSecretData

# New recovery codes on a page of the account, shown in the answer that makes them and never again.


NEW_TEMPLATE = "account/new_codes.html"


class NewCodesView(AccountView, frozen=True, kw_only=True):
    """``next``: the page that comes after."""

    codes: tuple[str, ...]
    next: str


def codes_of(ctx: RequestContext, codes: Sequence[str], then: str) -> View:
    """The page with the codes; no redirect comes before it. ``then``: where it leads."""
    return View(NewCodesView(codes=tuple(codes), next=then), template=NEW_TEMPLATE, brand=brands.of_user(ctx.user))


FACTOR_PATH = "/account/second-factor"
FACTOR_TEMPLATE, APP = "account/second_factor.html", "account/second_factor_app.html"
_WAITING = f"{FACTOR_PATH}?way=app"


class FactorQuery(msgspec.Struct, frozen=True):
    """``way``: ``app`` for the page of an app that waits for its first code."""

    way: Literal["", "app"] = ""


class FactorForm(msgspec.Struct, frozen=True):
    """``act``: ``begin`` with an app, ``confirm`` it with its first code, ``remove`` the one that counts."""

    act: Literal["begin", "confirm", "remove"] = "begin"
    otp: Annotated[str, Meta(max_length=64)] = ""


class FactorsView(AccountView, frozen=True, kw_only=True):
    own: Own


class AppView(AccountView, frozen=True, kw_only=True):
    email: str
    key: TotpSecretData
    replaces: bool


async def _show_factor(ctx: RequestContext, call: PageCall[FactorQuery]) -> View | Answer[None]:
    if call.fields.way == "app":
        return await _app(ctx, call)
    return await _overview(ctx, just_done(ctx, call))


async def _again(ctx: RequestContext, call: PageCall[FactorForm]) -> View | Answer[None]:
    return await _app(ctx, call) if call.fields.act == "confirm" else await _overview(ctx)


async def _overview(ctx: RequestContext, done: str = "") -> View:
    view = FactorsView(said=done, own=await enrollment.look_at_factors(ctx))
    return View(view, brand=brands.of_user(ctx.user))


async def _app(ctx: RequestContext, call: PageCall[Any]) -> View | Answer[None]:
    waiting, found = await enrollment.waiting_app(ctx), await enrollment.look_at_factors(ctx)
    if waiting is None:
        return see_other(FACTOR_PATH)
    call.here = _WAITING
    key = await qr_codes.app_key(waiting.secret, waiting.uri, call.language)
    view = AppView(email=ctx.user.email, key=key, replaces=found.totp is not None)
    return View(view, template=APP, brand=brands.of_user(ctx.user))


async def _change(ctx: RequestContext, call: PageCall[FactorForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "begin":
        await enrollment.begin_totp(ctx)
        return see_other(_WAITING)
    if form.act == "remove":
        await enrollment.remove_totp(ctx)
        return flash.after(ctx, FACTOR_PATH, "app-removed")
    code = form.otp.strip()
    require(otp=code)
    try:
        codes = await enrollment.confirm_totp(ctx, code)
    except ValidationError as refusal:
        raise ValidationError(details=[("otp", ENROL_WRONG)], reason=refusal.reason) from None
    return codes_of(ctx, codes, FACTOR_PATH) if codes else flash.after(ctx, FACTOR_PATH, "app")


# ``/account/codes``: how many recovery codes are left, and new ones.


CODES_PATH = "/account/codes"
CODES_TEMPLATE = "account/codes.html"


async def _show_codes(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _overview(ctx)


async def _make(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return codes_of(ctx, await enrollment.make_codes(ctx), CODES_PATH)


ROUTES = (
    account_page("GET", FACTOR_PATH, _show_factor, FACTOR_TEMPLATE, "One's authenticator app"),
    account_page("POST", FACTOR_PATH, _change, FACTOR_TEMPLATE, "Set it up, replace it or remove it", again=_again),
    account_page("GET", CODES_PATH, _show_codes, CODES_TEMPLATE, "One's recovery codes"),
    account_page("POST", CODES_PATH, _make, CODES_TEMPLATE, "Make new ones, shown once", again=_show_codes),
)
