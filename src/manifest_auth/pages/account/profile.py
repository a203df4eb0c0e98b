"""``/account/profile``, ``…/email``, ``…/language``, ``…/password``, ``…/badge``: users change their own data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Literal

import msgspec

from manifest_auth import tenants
from manifest_auth.accounts import accounts, email_changes, users
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, languages
from manifest_auth.pages.call import PageCall, View, require
from manifest_auth.pages.routing import account_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import badge, completion, email_change, session_lifecycle
from manifest_auth.store import TenantUnit
from manifest_auth.text.fields import Details, Input, with_details
from manifest_auth.text.languages import Language

PROFILE_PATH = "/account/profile"
PROFILE_TEMPLATE = "account/profile.html"


@with_details(users.OWN, Input.FORM)
class ProfileForm(msgspec.Struct, frozen=True, rename="camel"):
    details: Details


@brands.shows
def _show_profile(ctx: RequestContext, call: PageCall[ProfileForm | None], unit: TenantUnit) -> Details:
    user = users.get(unit, ctx.user.user_id)
    return call.fields.details if call.fields else {name: getattr(user, name) for name in users.OWN}


async def _save_profile(ctx: RequestContext, call: PageCall[ProfileForm]) -> View | Answer[None]:
    await ctx.store.write(lambda unit: accounts.change_own(unit, ctx, call.fields.details))
    return flash.after(ctx, PROFILE_PATH, "profile")


EMAIL_PATH = "/account/email"
EMAIL_TEMPLATE = "account/email.html"


class EmailForm(msgspec.Struct, frozen=True, rename="camel"):
    new_email: str = ""
    current_password: str = ""


@brands.shows
def _show_email(ctx: RequestContext, call: PageCall[EmailForm | None], unit: TenantUnit) -> SimpleNamespace:
    user = users.get(unit, ctx.user.user_id)
    waiting = email_changes.pending_rows(unit, [user.id]).get(user.id)
    pending = waiting if waiting is not None and waiting.is_pending(ctx.now) else None
    return SimpleNamespace(
        email=user.email,
        is_proved=user.email_proved_at is not None,
        pending=pending.new_email if pending else "",
        until=pending.expires_at if pending else 0,
        why_not=email_change.why_not(ctx, user),
        typed=call.fields.new_email if call.fields else "",
    )


async def _ask(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    form = call.fields
    require(newEmail=form.new_email, currentPassword=form.current_password)
    await email_change.start_own(ctx, form.new_email, form.current_password)
    return flash.after(ctx, EMAIL_PATH, "email")


LANGUAGE_PATH = "/account/language"
LANGUAGE_TEMPLATE = "account/language.html"


class LanguageForm(msgspec.Struct, frozen=True):
    """The form for the language. ``language`` is empty for the browser's preference."""

    language: Language | Literal[""] = ""


@brands.shows
def _show_language(ctx: RequestContext, call: PageCall[LanguageForm | None], unit: TenantUnit) -> str:
    return call.fields.language if call.fields else users.get(unit, ctx.user.user_id).language or ""


async def _save_language(ctx: RequestContext, call: PageCall[LanguageForm]) -> View | Answer[None]:
    """Saves the language, and updates this browser's own choice, which takes precedence."""
    wanted = call.fields.language
    await ctx.store.write(lambda unit: accounts.change_own(unit, ctx, {}, wanted or None))
    return flash.after(ctx, LANGUAGE_PATH, "language", (languages.cookie_line(wanted, ctx.services.settings),))


PATH = "/account/password"
TEMPLATE = "account/password.html"


class PasswordForm(msgspec.Struct, frozen=True, rename="camel"):
    current_password: str = ""
    new_password: str = ""


@brands.shows
def _show_password(ctx: RequestContext, call: PageCall[None], unit: TenantUnit) -> SimpleNamespace:
    user, settings = users.get(unit, ctx.user.user_id), ctx.user.tenant_settings
    own = tenants.settings_of(settings)
    return SimpleNamespace(
        email=user.email,
        has_password=user.password_hash is not None and own.password_sign_in,
        min_length=tenants.password_rules(own, user.factors).min_length,
        character_classes=own.password.character_classes,
        history=own.password.history,
        changed_at=user.password_changed_at or 0,
        is_due=completion.password_is_due(user, settings, ctx.now),
    )


async def _change_password(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    form = call.fields
    require(currentPassword=form.current_password, newPassword=form.new_password)
    await session_lifecycle.change_password(ctx, form.current_password, form.new_password)
    return flash.after(ctx, PATH, "password")


PIN_PATH = "/account/badge"
PIN_TEMPLATE = "account/badge.html"


class PinForm(msgspec.Struct, frozen=True):
    pin: str = ""


async def _show_pin(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return View(await badge.look_at_own(ctx), brand=brands.of_user(ctx.user))


async def _set(ctx: RequestContext, call: PageCall[PinForm]) -> View | Answer[None]:
    require(pin=call.fields.pin)
    await badge.set_pin(ctx, call.fields.pin)
    return flash.after(ctx, PIN_PATH, "pin")


ROUTES = (
    account_page("GET", PROFILE_PATH, _show_profile, PROFILE_TEMPLATE, "Your names and title"),
    account_page("POST", PROFILE_PATH, _save_profile, PROFILE_TEMPLATE, "Change your names and title"),
    account_page("GET", EMAIL_PATH, _show_email, EMAIL_TEMPLATE, "Your email address"),
    account_page("POST", EMAIL_PATH, _ask, EMAIL_TEMPLATE, "Request a different address"),
    account_page("GET", LANGUAGE_PATH, _show_language, LANGUAGE_TEMPLATE, "Your language"),
    account_page("POST", LANGUAGE_PATH, _save_language, LANGUAGE_TEMPLATE, "Choose the language"),
    account_page("GET", PATH, _show_password, TEMPLATE, "Your password"),
    account_page("POST", PATH, _change_password, TEMPLATE, "Change the password; ends your other sessions"),
    account_page("GET", PIN_PATH, _show_pin, PIN_TEMPLATE, "Your badges and PIN"),
    account_page("POST", PIN_PATH, _set, PIN_TEMPLATE, "Set PIN"),
)
