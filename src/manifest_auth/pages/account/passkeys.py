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
from manifest_auth.pages.routing import Audience, page
from manifest_auth.pages.sign_in import start
from manifest_auth.runtime.settings import why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import own as passkeys
from manifest_auth.sign_in.second_factor import enrollment
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


class PasskeyView(msgspec.Struct, frozen=True):
    """Times in milliseconds since 1970; ``used_at``: 0 for never. ``is_synced``: copied to other devices; ``is_void``:
    made for a former address; ``stays``: it is the last factor that works, and one is required."""

    id: str
    name: str
    made_at: int
    used_at: int
    is_synced: bool
    is_void: bool
    stays: bool


class PasskeysView(AccountView, frozen=True, kw_only=True):
    """``is_off``: browsers make none at this address; ``may_add``: the client lets its users have them, and there may
    be one more; ``accepted``: those that work, for the browser, as JSON; empty for nothing to say."""

    passkeys: tuple[PasskeyView, ...]
    is_off: bool
    is_allowed: bool
    may_add: bool
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
    found, is_off = await enrollment.look_at_factors(ctx), bool(why_no_passkeys(ctx.services.settings))
    accepted = await passkeys.accepted(ctx)
    is_allowed = "passkey" in found.methods
    view = PasskeysView(
        said=done,
        passkeys=tuple(
            PasskeyView(
                id=row.id,
                name=row.name,
                made_at=row.created_at,
                used_at=row.last_used_at or 0,
                is_synced=bool(row.backup_state),
                is_void=not is_off and row.rp_id != found.rp_id,
                stays=found.stays(row.id),
            )
            for row in found.passkeys
        ),
        is_off=is_off,
        is_allowed=is_allowed,
        may_add=is_allowed and not is_off and len(found.passkeys) < passkey_rows.MOST,
        accepted=start.passkey_json(accepted) if accepted is not None else "",
    )
    return View(view, brand=brands.of_user(ctx.user))


async def _add_page(ctx: RequestContext, call: PageCall[Any], name: str = "") -> View:
    """Raises as :func:`manifest_auth.sign_in.passkeys.own.begin`."""
    call.here = f"{PATH}?way=new"
    view = AddView(name=name, options=start.passkey_json(await passkeys.begin(ctx)))
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
        await passkeys.remove(ctx, form.id)
        return flash.after(ctx, PATH, "passkey-removed")
    if form.act == "rename":
        require(name=name)
        await passkeys.rename(ctx, form.id, name)
        return flash.after(ctx, PATH, "passkey-renamed")
    try:
        added = await passkeys.add(ctx, start.read_passkey(form.credential), name)
    except ValidationError as refusal:
        if any(field in ("", "credential") for field, _ in refusal.details):
            raise ValidationError(details=[("", start.NOT_MADE)], reason=refusal.reason) from None
        raise
    codes = added.recovery_codes
    return codes_of(ctx, codes, PATH) if codes else flash.after(ctx, PATH, "passkey")


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "One's passkeys", audience=Audience.SIGNED_IN),
    page("POST", PATH, _change, TEMPLATE, "Add one, name it, remove it", audience=Audience.SIGNED_IN, again=_again),
)
