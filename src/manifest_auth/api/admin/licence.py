"""``/api/admin/license-on-prem``: installation of a licence key, and its state."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth import licence
from manifest_auth.errors import LicenseInvalid
from manifest_auth.http import Access, Call, Route, Wire
from manifest_auth.licence import Overview, Seats
from manifest_auth.operations import licence_watch
from manifest_auth.services import RequestContext
from manifest_auth.text.canonical import when


class LicenceBody(msgspec.Struct, frozen=True, rename="camel"):
    """Every invalid key gets the same answer, so only the body's limit bounds its length."""

    license_key: Annotated[str, Meta(min_length=1)]


class SeatsData(Wire, frozen=True):
    """Numbers of users, by licence type."""

    full: int
    operate: int
    connect: int


class LicenceData(Wire, frozen=True):
    """``seatsUsed``: active users of all clients, by the type that each needs at least; ``seatsFree``: how many users
    of each type could be added, if no other type is. ``installationId``: the vendor may bind a licence to it."""

    state: Literal["not-needed", "missing", "valid", "grace", "expired"]
    customer: str | None
    license_id: str | None
    seats: SeatsData | None
    seats_used: SeatsData | None
    seats_free: SeatsData | None
    features: tuple[str, ...] | None
    issued_at: str | None
    expires_at: str | None
    grace_ends_at: str | None
    installation_id: str
    warning: str | None


def wire(overview: Overview, now: int) -> LicenceData:
    """The licence's state as on the wire. ``now``: milliseconds."""
    status, used = overview.status, overview.used
    current = status.licence
    warning = licence.warning(status, now)
    if status.is_set_back:
        warning = "; ".join(filter(None, (warning, "the clock is behind the newest time that this server recorded")))
    return LicenceData(
        state=status.state.value,
        customer=current.customer if current else None,
        license_id=current.id if current else None,
        seats=_seats(current.seats if current else None),
        seats_used=_seats(used),
        seats_free=_seats(licence.free(current.seats, used) if current and used is not None else None),
        features=current.features if current else None,
        issued_at=when(current.issued_at * 1000) if current else None,
        expires_at=when(current.expires_ms) if current else None,
        grace_ends_at=when(current.ends_ms) if current else None,
        installation_id=overview.installation,
        warning=warning or None,
    )


def _seats(seats: Seats | None) -> SeatsData | None:
    return SeatsData.of(seats) if seats is not None else None


async def _install(ctx: RequestContext, call: Call[LicenceBody]) -> LicenceData:
    return wire(await licence_watch.install(ctx, call.body.license_key), ctx.now)


async def _read(ctx: RequestContext, call: Call[None]) -> LicenceData:
    return wire(await ctx.services.licence.overview(), ctx.now)


_PATH = "/api/admin/license-on-prem"
ROUTES = (
    Route(
        "POST",
        _PATH,
        _install,
        Access.ADMIN,
        "Install an on-premise licence key",
        ignore_unknown=True,
        refusals=(LicenseInvalid,),
        operation="adminInstallLicense",
    ),
    Route("GET", _PATH, _read, Access.ADMIN, "The state of the licence", operation="adminGetLicense"),
)
