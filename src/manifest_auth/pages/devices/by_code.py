"""``/device`` and ``/device/confirm``: a person types the code that a device shows, looks, and lets it in or not.

A code in the address, as the device's own QR code has it, is shown and not used: the person first says that it is the
one on their device.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.errors import NotFound, ReauthenticationRequired, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import said, step_up
from manifest_auth.pages.account import frame
from manifest_auth.pages.account.frame import AccountView, shown
from manifest_auth.pages.account.sessions import DEVICES_PATH as DEVICES
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.devices import device_views
from manifest_auth.pages.devices.device_views import DeviceView
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.devices import approval
from manifest_auth.text.languages import marked as _
from manifest_auth.text.scan_codes import ALPHABET, grouped_letters, plain_letters

PATH, CONFIRM = "/device", "/device/confirm"
_TEMPLATE, _CONFIRM = "devices/code.html", "devices/confirm.html"
_UNKNOWN = _("No device shows this code")
Code = Annotated[str, Meta(max_length=40)]


class CodeFields(msgspec.Struct, frozen=True):
    """As the device shows it, in any spelling."""

    user_code: Code = ""


class ConfirmForm(msgspec.Struct, frozen=True):
    act: Literal["approve", "deny"] = "deny"
    user_code: Code = ""


class CodeView(AccountView, frozen=True, kw_only=True):
    """``code``: from the address, in groups, to be confirmed; ``is_on``: the client lets devices in so."""

    code: str
    is_on: bool
    scans: bool


class ConfirmView(AccountView, frozen=True, kw_only=True):
    code: str
    device: DeviceView


def _grouped(typed: str) -> str:
    """The code in groups, in the letters of codes alone; it goes into an address."""
    return grouped_letters("".join(letter for letter in plain_letters(typed) if letter in ALPHABET)[:20])


async def _ask(ctx: RequestContext, call: PageCall[CodeFields]) -> View | Answer[None]:
    rules, code = approval.rules_of(ctx), _grouped(call.fields.user_code)
    done = said.sentence(ctx, call, frame.SAID)
    return await shown(ctx, lambda unit: CodeView(said=done, code=code, is_on=rules.code, scans=rules.scan))


async def _look(ctx: RequestContext, call: PageCall[CodeFields]) -> View | Answer[None]:
    code = _grouped(call.fields.user_code)
    require(user_code=code)
    try:
        await approval.look(ctx, code)
    except NotFound:
        raise ValidationError(details=[("user_code", _UNKNOWN)]) from None
    return see_other(f"{CONFIRM}?user_code={code}")


async def _show(ctx: RequestContext, call: PageCall[CodeFields]) -> View | Answer[None]:
    code = _grouped(call.fields.user_code)
    try:
        device = device_views.shown(await approval.look(ctx, code))
    except NotFound:
        return see_other(PATH)
    return await shown(ctx, lambda unit: ConfirmView(code=code, device=device))


async def _again(ctx: RequestContext, call: PageCall[ConfirmForm]) -> View | Answer[None]:
    code = _grouped(call.fields.user_code)
    device = device_views.shown(await approval.look(ctx, code))
    return await shown(ctx, lambda unit: ConfirmView(code=code, device=device))


async def _decide(ctx: RequestContext, call: PageCall[ConfirmForm]) -> View | Answer[None]:
    code, approves = _grouped(call.fields.user_code), call.fields.act == "approve"
    try:
        await (approval.approve if approves else approval.deny)(ctx, code)
    except ReauthenticationRequired:
        return step_up.asked_first(f"{CONFIRM}?user_code={code}")
    except NotFound:
        return see_other(PATH)
    return said.after(ctx, DEVICES, "device-in" if approves else "device-refused")


ROUTES = (
    page("GET", PATH, _ask, _TEMPLATE, "Enter the code that a device shows", audience=Audience.SIGNED_IN),
    page("POST", PATH, _look, _TEMPLATE, "Look which device shows a code", audience=Audience.SIGNED_IN, again=_ask),
    page("GET", CONFIRM, _show, _CONFIRM, "The device that shows a code", audience=Audience.SIGNED_IN),
    page("POST", CONFIRM, _decide, _CONFIRM, "Let the device in, or refuse it", audience=Audience.SIGNED_IN,
         again=_again),
)  # fmt: skip
