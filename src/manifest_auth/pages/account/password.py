"""``/account/password`` and ``/account/badge``: the password, and the PIN of badges."""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash
from manifest_auth.pages.account.frame import AccountView, just_done, shown
from manifest_auth.pages.call import PageCall, View, require
from manifest_auth.pages.routing import account_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import badge, completion, session_lifecycle
from manifest_auth.sign_in.badge import OwnBadge
from manifest_auth.store import TenantUnit

# ``/account/password``: another password, with the current one.


PATH = "/account/password"
TEMPLATE = "account/password.html"


class PasswordForm(msgspec.Struct, frozen=True, rename="camel"):
    current_password: str = ""
    new_password: str = ""


class PasswordView(AccountView, frozen=True, kw_only=True):
    """``has_password``: and signs in with it; ``min_length``, ``character_classes``, ``history``: of the client's
    rules; ``changed_at``: milliseconds since 1970, 0 for never; ``is_due``: it is older than the client wants."""

    email: str
    has_password: bool
    min_length: int
    character_classes: int
    history: int
    changed_at: int
    is_due: bool


async def _form(ctx: RequestContext, done: str = "") -> View:
    settings = ctx.user.tenant_settings
    own = tenants.settings_of(settings)

    def work(unit: TenantUnit) -> PasswordView:
        user = users.get(unit, ctx.user.user_id)
        return PasswordView(
            said=done,
            email=user.email,
            has_password=user.password_hash is not None and own.password_sign_in,
            min_length=tenants.password_rules(own, user.factors).min_length,
            character_classes=own.password.character_classes,
            history=own.password.history,
            changed_at=user.password_changed_at or 0,
            is_due=completion.password_is_due(user, settings, ctx.now),
        )

    return await shown(ctx, work)


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _form(ctx, just_done(ctx, call))


async def _again(ctx: RequestContext, call: PageCall[Any]) -> View | Answer[None]:
    return await _form(ctx)


async def _change(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    form = call.fields
    require(currentPassword=form.current_password, newPassword=form.new_password)
    await session_lifecycle.change_password(ctx, form.current_password, form.new_password)
    return flash.after(ctx, PATH, "password")


# ``/account/badge``: one's badges, and a PIN of one's own.


PIN_PATH = "/account/badge"
PIN_TEMPLATE = "account/badge.html"


class PinForm(msgspec.Struct, frozen=True):
    pin: str = ""


class OwnBadgeView(AccountView, frozen=True, kw_only=True):
    """``may``: the client and the user's roles allow it."""

    may: bool
    own: OwnBadge


async def _show_pin(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, just_done(ctx, call))


async def _again_pin(ctx: RequestContext, call: PageCall[Any]) -> View | Answer[None]:
    return await _view(ctx)


async def _view(ctx: RequestContext, done: str = "") -> View:
    found = await badge.look_at_own(ctx)
    view = OwnBadgeView(said=done, may=found.is_on and found.has_role, own=found)
    return View(view, brand=brands.of_user(ctx.user))


async def _set(ctx: RequestContext, call: PageCall[PinForm]) -> View | Answer[None]:
    require(pin=call.fields.pin)
    await badge.set_pin(ctx, call.fields.pin)
    return flash.after(ctx, PIN_PATH, "pin")


ROUTES = (
    account_page("GET", PATH, _show, TEMPLATE, "One's password"),
    account_page("POST", PATH, _change, TEMPLATE, "Change it; ends the other sessions", again=_again),
    account_page("GET", PIN_PATH, _show_pin, PIN_TEMPLATE, "One's badges and PIN"),
    account_page("POST", PIN_PATH, _set, PIN_TEMPLATE, "Set the PIN", again=_again_pin),
)
