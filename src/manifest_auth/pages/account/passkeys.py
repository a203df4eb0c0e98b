"""``/account/passkeys``: one's passkeys; adds one, gives one another name, removes one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from manifest_auth.accounts.factors import passkey_rows
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash
from manifest_auth.pages.account.frame import AccountView, just_done
from manifest_auth.pages.account.second_factor import codes_of
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import account_page
from manifest_auth.pages.sign_in import start
from manifest_auth.runtime.settings import why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import enrollment
from manifest_auth.sign_in.second_factor import enrollment as passkeys
from manifest_auth.sign_in.second_factor.enrollment import Own
from manifest_auth.text import fields

PATH = "/account/passkeys"
TEMPLATE, ADD, RENAME = "account/passkeys.html", "account/passkey_add.html", "account/passkey_rename.html"
Id = fields.TypedToken
Name = Annotated[str, fields.PASSKEY_NAME.typed]


class PasskeysQuery(msgspec.Struct, frozen=True):
    """``way``: ``new`` to add one; ``rename``: id of the one that gets another name."""

    way: Literal["", "new"] = ""
    rename: Id = ""


class PasskeyForm(msgspec.Struct, frozen=True):
    """``id``: of the passkey to rename or remove."""

    act: Literal["add", "rename", "remove"] = "add"
    id: Id = ""
    name: Name = ""
    credential: start.Credential = ""


class PasskeysView(AccountView, frozen=True, kw_only=True):
    """``is_off``: browsers make none at this address; ``accepted``: those that work, for the browser, as JSON; empty
    for nothing to say."""

    own: Own
    is_off: bool
    accepted: str
    most: int = passkey_rows.MOST


class AddView(AccountView, frozen=True, kw_only=True):
    """``options``: for the browser, as JSON."""

    name: str
    options: str


class RenameView(AccountView, frozen=True, kw_only=True):
    id: str
    name: str


async def _show(ctx: RequestContext, call: PageCall[PasskeysQuery]) -> View | Answer[None]:
    asked = call.fields
    if asked.way == "new":
        return await _add_page(ctx, call)
    return await _rename_page(ctx, call, asked.rename) if asked.rename else await _list(ctx, just_done(ctx, call))


async def _again(ctx: RequestContext, call: PageCall[PasskeyForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "add":
        return await _add_page(ctx, call, form.name)
    return await _rename_page(ctx, call, form.id, form.name) if form.act == "rename" else await _list(ctx)


async def _list(ctx: RequestContext, done: str = "") -> View:
    found, accepted = await enrollment.look_at_factors(ctx), await passkeys.accepted_passkeys(ctx)
    view = PasskeysView(
        said=done,
        own=found,
        is_off=bool(why_no_passkeys(ctx.services.settings)),
        accepted=start.passkey_json(accepted) if accepted is not None else "",
    )
    return View(view, brand=brands.of_user(ctx.user))


async def _add_page(ctx: RequestContext, call: PageCall[Any], name: str = "") -> View:
    """Raises as :func:`manifest_auth.sign_in.second_factor.enrollment.begin_passkey`."""
    call.here = f"{PATH}?way=new"
    view = AddView(name=name, options=start.passkey_json(await passkeys.begin_passkey(ctx)))
    return View(view, template=ADD, brand=brands.of_user(ctx.user))


async def _rename_page(
    ctx: RequestContext, call: PageCall[Any], passkey_id: str, typed: str | None = None
) -> View | Answer[None]:
    row = next((one for one in (await enrollment.look_at_factors(ctx)).passkeys if one.id == passkey_id), None)
    if row is None:
        return see_other(PATH)
    call.here = f"{PATH}?rename={row.id}"
    view = RenameView(id=row.id, name=row.name if typed is None else typed)
    return View(view, template=RENAME, brand=brands.of_user(ctx.user))


async def _change(ctx: RequestContext, call: PageCall[PasskeyForm]) -> View | Answer[None]:
    form = call.fields
    name = form.name.strip()
    if form.act == "remove":
        await passkeys.remove_passkey(ctx, form.id)
        return flash.after(ctx, PATH, "passkey-removed")
    if form.act == "rename":
        require(name=name)
        await passkeys.rename_passkey(ctx, form.id, name)
        return flash.after(ctx, PATH, "passkey-renamed")
    try:
        added = await passkeys.add_passkey(ctx, start.read_passkey(form.credential), name)
    except ValidationError as refusal:
        if any(field in ("", "credential") for field, _ in refusal.details):
            raise ValidationError(details=[("", start.NOT_MADE)], reason=refusal.reason) from None
        raise
    codes = added.recovery_codes
    return codes_of(ctx, codes, PATH) if codes else flash.after(ctx, PATH, "passkey")


ROUTES = (
    account_page("GET", PATH, _show, TEMPLATE, "One's passkeys"),
    account_page("POST", PATH, _change, TEMPLATE, "Add one, name it, remove it", again=_again),
)
