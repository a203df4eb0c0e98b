"""``/account/second-factor``, ``…/codes`` and ``…/passkeys``: authenticator app, recovery codes and passkeys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors import passkey_rows
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, rendering
from manifest_auth.pages.account.sessions import ends_others
from manifest_auth.pages.call import Confirmation, PageCall, View, require, see_other
from manifest_auth.pages.routing import account_page
from manifest_auth.pages.sign_in import start
from manifest_auth.pages.sign_in.second_factor import ENROL_WRONG
from manifest_auth.runtime.settings import why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import enrollment
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

NEW_TEMPLATE = "account/new_codes.html"


def codes_of(call: PageCall[Any], codes: Sequence[str], *, replace: bool = False) -> Answer[None]:
    """Redirects to the page with new codes, which are shown once. ``replace``: earlier codes no longer work."""
    return call.show_once(CODES_PATH, (codes, replace))


FACTOR_PATH = "/account/second-factor"
FACTOR_TEMPLATE, APP = "account/second_factor.html", "account/second_factor_app.html"
_WAITING = f"{FACTOR_PATH}?way=app"


class FactorQuery(msgspec.Struct, frozen=True):
    """The query of the page. ``way``: ``app`` for the page of an app that waits for its first code."""

    way: Literal["", "app"] = ""


class FactorForm(msgspec.Struct, frozen=True):
    """The form of the page. ``act``: ``begin`` with an app, ``confirm`` it with its first code, or ``remove`` the
    active one."""

    act: Literal["begin", "confirm", "remove"] = "begin"
    otp: Annotated[str, Meta(max_length=64)] = ""


async def _show_factor(ctx: RequestContext, call: PageCall[FactorQuery]) -> View | Answer[None]:
    if call.fields.way == "app":
        return await _app(ctx, call)
    return await _overview(ctx)


async def _again_factor(ctx: RequestContext, call: PageCall[FactorForm]) -> View | Answer[None]:
    return await _app(ctx, call) if call.fields.act == "confirm" else await _overview(ctx)


async def _overview(ctx: RequestContext) -> View:
    return View(await enrollment.look_at_factors(ctx), brand=brands.of_user(ctx.user))


async def _app(ctx: RequestContext, call: PageCall[Any]) -> View | Answer[None]:
    waiting, found = await enrollment.waiting_app(ctx), await enrollment.look_at_factors(ctx)
    if waiting is None:
        return see_other(FACTOR_PATH)
    call.here = _WAITING
    key = await rendering.app_key(waiting.secret, waiting.uri, call.language)
    return brands.own_page(ctx, APP, email=ctx.user.email, key=key, replaces=found.totp is not None)


async def _confirm(ctx: RequestContext, call: PageCall[FactorForm] | PageCall[PasskeyForm]) -> Confirmation | None:
    """Returns the question before an app or a passkey is removed."""
    form = call.fields
    if form.act != "remove":
        return None
    found = await enrollment.look_at_factors(ctx)
    if found.stays("" if isinstance(form, FactorForm) else form.id):
        return None  # the action reports it
    left = len(found.passkeys) + bool(found.totp) - 1
    last = () if left else (_("You then have no second factor, and your recovery codes stop working."),)
    effects = (await ends_others(ctx), *last)
    if isinstance(form, FactorForm):
        return Confirmation(_("Remove your authenticator app?"), effects, _("Remove app"))
    name = next((one.name for one in found.passkeys if one.id == form.id), "")
    title = _("Remove the passkey %(name)s?") if name else _("Remove this passkey?")
    return Confirmation(title, effects, _("Remove passkey"), name=name)


async def _change_factor(ctx: RequestContext, call: PageCall[FactorForm]) -> View | Answer[None]:
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
    return codes_of(call, codes) if codes else flash.after(ctx, FACTOR_PATH, "app")


CODES_PATH = "/account/codes"
CODES_TEMPLATE = "account/codes.html"


async def _show_codes(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    if new := call.shown_as(tuple[tuple[str, ...], bool]):
        return brands.own_page(ctx, NEW_TEMPLATE, codes=new[0], replace=new[1])
    return await _overview(ctx)


async def _make(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return codes_of(call, await enrollment.make_codes(ctx), replace=True)


PATH = "/account/passkeys"
TEMPLATE, ADD, RENAME = "account/passkeys.html", "account/passkey_add.html", "account/passkey_rename.html"
Id = fields.TypedToken
Name = Annotated[str, fields.PASSKEY_NAME.typed]


class PasskeysQuery(msgspec.Struct, frozen=True):
    """The query of the page. ``way``: ``new`` to add a passkey; ``rename``: ID of the passkey to rename."""

    way: Literal["", "new"] = ""
    rename: Id = ""


class PasskeyForm(msgspec.Struct, frozen=True):
    """The form of the page. ``id``: the passkey to rename or remove."""

    act: Literal["add", "rename", "remove"] = "add"
    id: Id = ""
    name: Name = ""
    credential: start.Credential = ""


async def _show(ctx: RequestContext, call: PageCall[PasskeysQuery]) -> View | Answer[None]:
    asked = call.fields
    if asked.way == "new":
        return await _add_page(ctx, call)
    return await _rename_page(ctx, call, asked.rename) if asked.rename else await _list(ctx)


async def _again(ctx: RequestContext, call: PageCall[PasskeyForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "add":
        return await _add_page(ctx, call, form.name)
    return await _rename_page(ctx, call, form.id, form.name) if form.act == "rename" else await _list(ctx)


async def _list(ctx: RequestContext) -> View:
    found, accepted = await enrollment.look_at_factors(ctx), await enrollment.accepted_passkeys(ctx)
    return brands.own_page(
        ctx,
        own=found,
        is_off=bool(why_no_passkeys(ctx.services.settings)),
        accepted=start.passkey_json(accepted) if accepted is not None else "",
        most=passkey_rows.MOST,
    )


async def _add_page(ctx: RequestContext, call: PageCall[Any], name: str = "") -> View:
    """Shows the page that adds a passkey. Raises the errors of
    :func:`manifest_auth.sign_in.second_factor.enrollment.begin_passkey`."""
    call.here = f"{PATH}?way=new"
    return brands.own_page(ctx, ADD, name=name, options=start.passkey_json(await enrollment.begin_passkey(ctx)))


async def _rename_page(
    ctx: RequestContext, call: PageCall[Any], passkey_id: str, typed: str | None = None
) -> View | Answer[None]:
    row = next((one for one in (await enrollment.look_at_factors(ctx)).passkeys if one.id == passkey_id), None)
    if row is None:
        return see_other(PATH)
    call.here = f"{PATH}?rename={row.id}"
    return brands.own_page(ctx, RENAME, id=row.id, name=row.name if typed is None else typed)


async def _change(ctx: RequestContext, call: PageCall[PasskeyForm]) -> View | Answer[None]:
    form = call.fields
    name = form.name.strip()
    if form.act == "remove":
        await enrollment.remove_passkey(ctx, form.id)
        return flash.after(ctx, PATH, "passkey-removed")
    if form.act == "rename":
        require(name=name)
        await enrollment.rename_passkey(ctx, form.id, name)
        return flash.after(ctx, PATH, "passkey-renamed")
    try:
        _passkey, codes = await enrollment.add_passkey(ctx, start.read_passkey(form.credential), name)
    except ValidationError as refusal:
        if any(field in ("", "credential") for field, _ in refusal.details):
            raise ValidationError(details=[("", start.NOT_MADE)], reason=refusal.reason) from None
        raise
    return codes_of(call, codes) if codes else flash.after(ctx, PATH, "passkey")


ROUTES = (
    account_page("GET", FACTOR_PATH, _show_factor, FACTOR_TEMPLATE, "Your authenticator app"),
    account_page(
        "POST",
        FACTOR_PATH,
        _change_factor,
        FACTOR_TEMPLATE,
        "Set up, replace, or remove the app",
        again=_again_factor,
        confirms=_confirm,
    ),
    account_page("GET", CODES_PATH, _show_codes, CODES_TEMPLATE, "Your recovery codes"),
    account_page("POST", CODES_PATH, _make, CODES_TEMPLATE, "Create new recovery codes, shown once"),
    account_page("GET", PATH, _show, TEMPLATE, "Your passkeys"),
    account_page("POST", PATH, _change, TEMPLATE, "Add, rename, or remove a passkey", again=_again, confirms=_confirm),
)
