"""Pages on which users approve devices, by the code that a device shows or by one that it scans."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, rendering
from manifest_auth.pages.account.sessions import DEVICES_PATH as DEVICES
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import account_page, page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.devices import approval
from manifest_auth.sign_in.devices.approval import PairingCodeData
from manifest_auth.text.languages import marked as _
from manifest_auth.text.scan_codes import ALPHABET, grouped_letters, plain_letters

EXPLAINED_PATH = "/pair"


async def _explain(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return View()


# A code in the address, as in the device's own QR code, is shown but not used: the person must first confirm that their
# device shows the same one.


CODE_PATH, CONFIRM = "/device", "/device/confirm"
_TEMPLATE, _CONFIRM = "devices/code.html", "devices/confirm.html"
_UNKNOWN = _("No device shows this code")
Code = Annotated[str, Meta(max_length=40)]


class CodeFields(msgspec.Struct, frozen=True):
    """The code that the device shows, in any spelling."""

    user_code: Code = ""


class ConfirmForm(msgspec.Struct, frozen=True):
    act: Literal["approve", "deny"] = "deny"
    user_code: Code = ""


def _grouped(typed: str) -> str:
    """Returns the code in groups, with only the letters of codes, for use in an address."""
    return grouped_letters("".join(letter for letter in plain_letters(typed) if letter in ALPHABET)[:20])


async def _ask(ctx: RequestContext, call: PageCall[CodeFields]) -> View | Answer[None]:
    rules, code = approval.rules_of(ctx), _grouped(call.fields.user_code)
    return brands.own_page(ctx, code=code, is_on=rules.code, scans=rules.scan)


async def _look(ctx: RequestContext, call: PageCall[CodeFields]) -> View | Answer[None]:
    code = _grouped(call.fields.user_code)
    require(user_code=code)
    try:
        await approval.look(ctx, code)
    except NotFound:
        raise ValidationError(details=[("user_code", _UNKNOWN)]) from None
    return see_other(f"{CONFIRM}?user_code={code}")


async def _show_code(ctx: RequestContext, call: PageCall[CodeFields]) -> View | Answer[None]:
    code = _grouped(call.fields.user_code)
    try:
        return await _confirm(ctx, code)
    except NotFound:
        return see_other(CODE_PATH)


async def _again(ctx: RequestContext, call: PageCall[ConfirmForm]) -> View | Answer[None]:
    return await _confirm(ctx, _grouped(call.fields.user_code))


async def _confirm(ctx: RequestContext, code: str) -> View:
    device, near = await approval.look(ctx, code), approval.rules_of(ctx).same_network
    return brands.own_page(ctx, code=code, device=device, must_be_near=near)


async def _decide(ctx: RequestContext, call: PageCall[ConfirmForm]) -> View | Answer[None]:
    code, approves = _grouped(call.fields.user_code), call.fields.act == "approve"
    try:
        await (approval.approve if approves else approval.deny)(ctx, code)
    except NotFound:
        return see_other(CODE_PATH)
    return flash.after(ctx, DEVICES, "device-in" if approves else "device-refused")


PAIRING_PATH = f"{DEVICES}/pair"
_START, _CODE, _STATE = "devices/pair.html", "devices/pair_code.html", "devices/pair_state.html"
_TITLE = _("QR code for your device to scan")
_DIGITS = _("Enter the two digits that the device shows")
Id = Annotated[str, Meta(max_length=40, pattern="^[A-Za-z0-9_-]*$")]


class PairQuery(msgspec.Struct, frozen=True):
    """The query of the page. ``pairing``: the one in progress."""

    pairing: Id = ""


class PairForm(msgspec.Struct, frozen=True):
    act: Literal["begin", "renew", "approve", "deny"] = "begin"
    pairing: Id = ""
    match: Annotated[str, Meta(max_length=8)] = ""


async def _show_pairing(ctx: RequestContext, call: PageCall[PairQuery]) -> View | Answer[None]:
    if (code := call.shown_as(PairingCodeData)) is not None:
        return await _code(ctx, call, code)
    if call.fields.pairing:
        return await _state(ctx, call, call.fields.pairing)
    rules = approval.rules_of(ctx)
    return brands.own_page(ctx, is_on=rules.scan, by_code=rules.code)


async def _state(ctx: RequestContext, call: PageCall[Any], pairing: str) -> View:
    found, near = await approval.look_at_pairing(ctx, pairing), approval.rules_of(ctx).same_network
    call.here = _address(pairing)
    return brands.own_page(ctx, _STATE, pairing=pairing, found=found, must_be_near=near)


async def _code(ctx: RequestContext, call: PageCall[Any], code: PairingCodeData) -> View:
    drawn = await rendering.qr_code(code.qr, _TITLE, call.language)
    return brands.own_page(ctx, _CODE, code=code, qr=drawn, client=ctx.user.client)


async def _act(ctx: RequestContext, call: PageCall[PairForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "begin":
        return call.show_once(PAIRING_PATH, await approval.begin_pairing(ctx))
    if form.act == "renew":
        return call.show_once(PAIRING_PATH, await approval.renew_pairing(ctx, form.pairing))
    if form.act == "deny":
        await approval.deny_pairing(ctx, form.pairing)
        return flash.after(ctx, DEVICES, "device-refused")
    match = form.match.strip()
    if not (len(match) == 2 and match.isascii() and match.isdigit()):
        raise ValidationError(details=[("match", _DIGITS)])
    await approval.approve_pairing(ctx, form.pairing, match)
    return see_other(_address(form.pairing))


def _address(pairing: str) -> str:
    return f"{PAIRING_PATH}?pairing={pairing}"


ROUTES = (
    page("GET", EXPLAINED_PATH, _explain, "devices/explained.html", "The purpose of a scanned code"),
    account_page("GET", CODE_PATH, _ask, _TEMPLATE, "Enter the code that a device shows"),
    account_page("POST", CODE_PATH, _look, _TEMPLATE, "Find the device that shows a code"),
    account_page("GET", CONFIRM, _show_code, _CONFIRM, "The device that shows a code"),
    account_page("POST", CONFIRM, _decide, _CONFIRM, "Approve or reject the device", again=_again),
    account_page("GET", PAIRING_PATH, _show_pairing, _START, "Approve a device with a code that it scans"),
    account_page("POST", PAIRING_PATH, _act, _START, "Show the code or a new one, and approve or reject the device"),
)
