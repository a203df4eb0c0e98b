"""``/installation/licence``: the licence of this server, and a new key for it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import licence
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.licence import Overview, State
from manifest_auth.operations import licence_watch
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext

PATH = f"{frame.OVERVIEW}/licence"
_TEMPLATE = "installation/licence.html"
_LONGEST = 20_000
_STATES = {
    State.NOT_NEEDED: ("Not needed", "plain"),
    State.MISSING: ("None installed", "bad"),
    State.VALID: ("Valid", "good"),
    State.GRACE: ("Ended, in its grace time", "note"),
    State.EXPIRED: ("Ended", "bad"),
}


class LicenceForm(msgspec.Struct, frozen=True, rename="camel"):
    """``license_key``: as it was pasted, or as the file has it."""

    license_key: Annotated[str, Meta(max_length=_LONGEST)] = ""


class SeatRow(msgspec.Struct, frozen=True):
    kind: str
    granted: int
    taken: int
    free: int


class LicenceView(msgspec.Struct, frozen=True):
    """``badge``: its kind; times in milliseconds, 0 for none."""

    done: bool
    is_needed: bool
    state: str
    badge: str
    warning: str
    is_set_back: bool
    customer: str
    number: str
    issued_at: int
    expires_at: int
    ends_at: int
    features: tuple[str, ...]
    seats: tuple[SeatRow, ...]
    installation: str
    typed: str


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return View(_view(ctx, await ctx.services.licence.overview(), bool(said.word(ctx, call))))


async def _again(ctx: RequestContext, call: PageCall[LicenceForm]) -> View | Answer[None]:
    return View(_view(ctx, await ctx.services.licence.overview(), typed=call.fields.license_key))


def _view(ctx: RequestContext, overview: Overview, done: bool = False, typed: str = "") -> LicenceView:
    status, current = overview.status, overview.status.licence
    state, badge = _STATES[status.state]
    warned = licence.warning(status, ctx.now)
    return LicenceView(
        done=done,
        is_needed=status.state is not State.NOT_NEEDED,
        state=state,
        badge=badge,
        warning=warned[:1].upper() + warned[1:],
        is_set_back=status.is_set_back,
        customer=current.customer if current else "",
        number=current.id if current else "",
        issued_at=current.issued_at * 1000 if current else 0,
        expires_at=current.expires_ms if current else 0,
        ends_at=current.ends_ms if current else 0,
        features=current.features if current else (),
        seats=_seats(overview),
        installation=overview.installation,
        typed=typed,
    )


def _seats(overview: Overview) -> tuple[SeatRow, ...]:
    current, used = overview.status.licence, overview.used
    if current is None or used is None:
        return ()
    counted = (current.seats, used, licence.free(current.seats, used))
    granted, taken, left = (msgspec.structs.asdict(one) for one in counted)
    return tuple(SeatRow(kind.capitalize(), granted[kind], taken[kind], left[kind]) for kind in granted)


async def _install(ctx: RequestContext, call: PageCall[LicenceForm]) -> View | Answer[None]:
    if not call.fields.license_key.strip():
        raise ValidationError(details=[("licenseKey", "Paste the key that you got, or choose its file")])
    await licence_watch.install(ctx, call.fields.license_key)
    return said.after(ctx, PATH, "installed")


ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "The licence of this server", audience=Audience.SYSTEM_ADMIN, english=True),
    page("POST", PATH, _install, _TEMPLATE, "Install a licence key", audience=Audience.SYSTEM_ADMIN, english=True,
         again=_again, upload="licenseFile", upload_bytes=_LONGEST, upload_into="licenseKey"),
)  # fmt: skip
