"""``/account/devices/pair``: shows a code for a device to scan, then asks for the number that the device shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.errors import ReauthenticationRequired, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import qr, said, step_up
from manifest_auth.pages.account.frame import AccountView, shown
from manifest_auth.pages.account.sessions import DEVICES_PATH as DEVICES
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.devices import device_views
from manifest_auth.pages.devices.device_views import DeviceView
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.devices import approval
from manifest_auth.sign_in.devices.approval import ShownCode
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

PATH = f"{DEVICES}/pair"
_START, _CODE, _STATE = "devices/pair.html", "devices/pair_code.html", "devices/pair_state.html"
_TITLE = _("QR code for your device to scan")
_DIGITS = _("Two digits, as the device shows them")
Id = Annotated[str, Meta(max_length=40, pattern="^[A-Za-z0-9_-]*$")]


class PairQuery(msgspec.Struct, frozen=True):
    """``pairing``: the one that is under way."""

    pairing: Id = ""


class PairForm(msgspec.Struct, frozen=True):
    act: Literal["begin", "renew", "approve", "deny"] = "begin"
    pairing: Id = ""
    match: Annotated[str, Meta(max_length=8)] = ""


class StartView(AccountView, frozen=True, kw_only=True):
    """``is_on``: the client lets devices in so; ``by_code``: by the code that a device shows."""

    is_on: bool
    by_code: bool


class CodeView(AccountView, frozen=True, kw_only=True):
    """``qr``: as markup; ``typed``: the letters in its place; ``ends_at``: milliseconds."""

    pairing: str
    qr: str
    typed: str
    client: str
    ends_at: int


class StateView(AccountView, frozen=True, kw_only=True):
    """``device``: that scanned the code; None: none has."""

    pairing: str
    state: approval.State
    device: DeviceView | None


async def _show(ctx: RequestContext, call: PageCall[PairQuery]) -> View | Answer[None]:
    if call.fields.pairing:
        return await _state(ctx, call, call.fields.pairing)
    return await _start(ctx)


async def _start(ctx: RequestContext) -> View:
    rules = approval.rules_of(ctx)
    return await shown(ctx, lambda unit: StartView(is_on=rules.scan, by_code=rules.code))


async def _state(ctx: RequestContext, call: PageCall[Any], pairing: str) -> View:
    found = await approval.look_at_pairing(ctx, pairing)
    device = None if found.device is None else device_views.shown(found.device)
    call.here = _address(pairing)
    view = await shown(ctx, lambda unit: StateView(pairing=pairing, state=found.state, device=device))
    view.template = _STATE
    return view


async def _code(ctx: RequestContext, call: PageCall[Any], code: ShownCode) -> View:
    """The code, in the one answer that has it."""
    drawn = await qr.code(code.qr, catalogue(call.language).gettext(_TITLE))
    call.here = PATH
    model = CodeView(pairing=code.id, qr=drawn, typed=code.typed, client=ctx.user.client, ends_at=code.ends_at)
    view = await shown(ctx, lambda unit: model)
    view.template = _CODE
    return view


async def _act(ctx: RequestContext, call: PageCall[PairForm]) -> View | Answer[None]:
    try:
        return await _acted(ctx, call)
    except ReauthenticationRequired:
        return step_up.asked_first(_address(call.fields.pairing) if call.fields.pairing else PATH)


async def _acted(ctx: RequestContext, call: PageCall[PairForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "begin":
        return await _code(ctx, call, await approval.begin_pairing(ctx))
    if form.act == "renew":
        return await _code(ctx, call, await approval.renew_pairing(ctx, form.pairing))
    if form.act == "deny":
        await approval.deny_pairing(ctx, form.pairing)
        return said.after(ctx, DEVICES, "device-refused")
    match = form.match.strip()
    if not (len(match) == 2 and match.isascii() and match.isdigit()):
        raise ValidationError(details=[("match", _DIGITS)])
    await approval.approve_pairing(ctx, form.pairing, match)
    return see_other(_address(form.pairing))


def _address(pairing: str) -> str:
    return f"{PATH}?pairing={pairing}"


ROUTES = (
    page("GET", PATH, _show, _START, "Let a device in by a code that it scans", audience=Audience.SIGNED_IN),
    page("POST", PATH, _act, _START, "Show the code, another one, or decide", audience=Audience.SIGNED_IN,
         again=_show),
)  # fmt: skip
