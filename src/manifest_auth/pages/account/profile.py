"""``/account/profile``, ``…/email``, ``…/language``, ``…/password``, ``…/badge``: what users change of themselves."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from manifest_auth import tenants
from manifest_auth.accounts import accounts, email_changes, users
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, languages
from manifest_auth.pages.account.frame import AccountView, just_done, shown
from manifest_auth.pages.call import PageCall, View, require
from manifest_auth.pages.routing import account_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import badge, completion, email_change, session_lifecycle
from manifest_auth.sign_in.badge import OwnBadge
from manifest_auth.store import TenantUnit
from manifest_auth.text.fields import Details, Input, with_details
from manifest_auth.text.languages import Language

# ``/account/profile``: one's own names and title.


PROFILE_PATH = "/account/profile"
PROFILE_TEMPLATE = "account/profile.html"


@with_details(users.OWN, Input.FORM)
class ProfileForm(msgspec.Struct, frozen=True, rename="camel"):
    details: Details


class ProfileView(AccountView, frozen=True, kw_only=True):
    details: Details


async def _show_profile(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    done = just_done(ctx, call)

    def work(unit: TenantUnit) -> ProfileView:
        user = users.get(unit, ctx.user.user_id)
        return ProfileView(said=done, details={name: getattr(user, name) for name in users.OWN})

    return await shown(ctx, work)


async def _again_profile(ctx: RequestContext, call: PageCall[ProfileForm]) -> View | Answer[None]:
    return await shown(ctx, lambda unit: ProfileView(details=call.fields.details))


async def _save_profile(ctx: RequestContext, call: PageCall[ProfileForm]) -> View | Answer[None]:
    await ctx.store.write(lambda unit: accounts.change_own(unit, ctx, call.fields.details))
    return flash.after(ctx, PROFILE_PATH, "profile")


EMAIL_PATH = "/account/email"
EMAIL_TEMPLATE = "account/email.html"


class EmailForm(msgspec.Struct, frozen=True, rename="camel"):
    new_email: str = ""
    current_password: str = ""


class EmailView(AccountView, frozen=True, kw_only=True):
    """``is_proved``: a link in an e-mail to it was followed; ``pending``: the address that waits to be confirmed, until
    ``until`` (milliseconds since 1970); ``why_not``: why no other can be asked for, a message of the catalogue, empty
    where one can; ``typed``: what was asked for before."""

    email: str
    is_proved: bool
    pending: str
    until: int
    why_not: str
    typed: str = ""


def _email_view(unit: TenantUnit, ctx: RequestContext, done: str = "", typed: str = "") -> EmailView:
    user = users.get(unit, ctx.user.user_id)
    waiting = email_changes.pending_rows(unit, [user.id]).get(user.id)
    pending = waiting if waiting is not None and waiting.is_pending(ctx.now) else None
    return EmailView(
        said=done,
        email=user.email,
        is_proved=user.email_proved_at is not None,
        pending=pending.new_email if pending else "",
        until=pending.expires_at if pending else 0,
        why_not=email_change.why_not(ctx, user),
        typed=typed,
    )


async def _show_email(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    done = just_done(ctx, call)
    return await shown(ctx, lambda unit: _email_view(unit, ctx, done))


async def _again_email(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    return await shown(ctx, lambda unit: _email_view(unit, ctx, typed=call.fields.new_email))


async def _ask(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    form = call.fields
    require(newEmail=form.new_email, currentPassword=form.current_password)
    await email_change.start_own(ctx, form.new_email, form.current_password)
    return flash.after(ctx, EMAIL_PATH, "email")


LANGUAGE_PATH = "/account/language"
LANGUAGE_TEMPLATE = "account/language.html"


class LanguageForm(msgspec.Struct, frozen=True):
    """``language``: empty for what the browser asks for."""

    language: Language | Literal[""] = ""


class LanguageView(AccountView, frozen=True, kw_only=True):
    language: str


async def _language_view(ctx: RequestContext, done: str = "") -> View:
    def work(unit: TenantUnit) -> LanguageView:
        return LanguageView(said=done, language=users.get(unit, ctx.user.user_id).language or "")

    return await shown(ctx, work)


async def _show_language(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _language_view(ctx, just_done(ctx, call))


async def _again_language(ctx: RequestContext, call: PageCall[LanguageForm]) -> View | Answer[None]:
    return await _language_view(ctx)


async def _save_language(ctx: RequestContext, call: PageCall[LanguageForm]) -> View | Answer[None]:
    """This browser's own choice, which comes first, follows it."""
    wanted = call.fields.language
    await ctx.store.write(lambda unit: accounts.change_own(unit, ctx, {}, wanted or None))
    return flash.after(ctx, LANGUAGE_PATH, "language", (languages.cookie_line(wanted, ctx.services.settings),))


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


async def _password_view(ctx: RequestContext, done: str = "") -> View:
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


async def _show_password(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _password_view(ctx, just_done(ctx, call))


async def _again_password(ctx: RequestContext, call: PageCall[Any]) -> View | Answer[None]:
    return await _password_view(ctx)


async def _change_password(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    form = call.fields
    require(currentPassword=form.current_password, newPassword=form.new_password)
    await session_lifecycle.change_password(ctx, form.current_password, form.new_password)
    return flash.after(ctx, PATH, "password")


PIN_PATH = "/account/badge"
PIN_TEMPLATE = "account/badge.html"


class PinForm(msgspec.Struct, frozen=True):
    pin: str = ""


class OwnBadgeView(AccountView, frozen=True, kw_only=True):
    """``may``: the client and the user's roles allow it."""

    may: bool
    own: OwnBadge


async def _show_pin(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _pin_view(ctx, just_done(ctx, call))


async def _again_pin(ctx: RequestContext, call: PageCall[Any]) -> View | Answer[None]:
    return await _pin_view(ctx)


async def _pin_view(ctx: RequestContext, done: str = "") -> View:
    found = await badge.look_at_own(ctx)
    view = OwnBadgeView(said=done, may=found.is_on and found.has_role, own=found)
    return View(view, brand=brands.of_user(ctx.user))


async def _set(ctx: RequestContext, call: PageCall[PinForm]) -> View | Answer[None]:
    require(pin=call.fields.pin)
    await badge.set_pin(ctx, call.fields.pin)
    return flash.after(ctx, PIN_PATH, "pin")


ROUTES = (
    account_page("GET", PROFILE_PATH, _show_profile, PROFILE_TEMPLATE, "One's names and title"),
    account_page("POST", PROFILE_PATH, _save_profile, PROFILE_TEMPLATE, "Change them", again=_again_profile),
    account_page("GET", EMAIL_PATH, _show_email, EMAIL_TEMPLATE, "One's e-mail address"),
    account_page("POST", EMAIL_PATH, _ask, EMAIL_TEMPLATE, "Ask for another", again=_again_email),
    account_page("GET", LANGUAGE_PATH, _show_language, LANGUAGE_TEMPLATE, "One's language"),
    account_page("POST", LANGUAGE_PATH, _save_language, LANGUAGE_TEMPLATE, "Choose it", again=_again_language),
    account_page("GET", PATH, _show_password, TEMPLATE, "One's password"),
    account_page(
        "POST",
        PATH,
        _change_password,
        TEMPLATE,
        "Change it; ends the other sessions",
        again=_again_password,
    ),
    account_page("GET", PIN_PATH, _show_pin, PIN_TEMPLATE, "One's badges and PIN"),
    account_page("POST", PIN_PATH, _set, PIN_TEMPLATE, "Set the PIN", again=_again_pin),
)
