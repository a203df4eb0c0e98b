"""``/api/admin/license-on-prem``: install a licence key, and see which state it is in."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth import licence
from manifest_auth.errors import LicenseInvalid
from manifest_auth.http import Access, Call, Route, Wire
from manifest_auth.licence import Overview, Seats, put_in_force
from manifest_auth.operations import licence_watch
from manifest_auth.services import RequestContext
from manifest_auth.text.canonical import when


class LicenceBody(msgspec.Struct, frozen=True, rename="camel"):
    """Whatever is no key gets the same answer, so its length is bounded by the body alone."""

    license_key: Annotated[str, Meta(min_length=1)]


class SeatsData(Wire, frozen=True):
    """Numbers of users, by licence type."""

    full: int
    operate: int
    connect: int


class LicenceData(Wire, frozen=True):
    """``seatsUsed``: active users of all clients by the type that they need at least; ``seatsFree``: how many more may
    come, of one type alone. ``installationId``: what the vendor may bind a licence to."""

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


def wire(found: Overview, now: int) -> LicenceData:
    standing, used = found.standing, found.used
    held = standing.licence
    said = licence.warning(standing, now)
    if standing.is_set_back:
        said = "; ".join(filter(None, (said, "the clock is behind the newest time that was seen here")))
    return LicenceData(
        state=standing.state.value,
        customer=held.customer if held else None,
        license_id=held.id if held else None,
        seats=_seats(held.seats if held else None),
        seats_used=_seats(used),
        seats_free=_seats(licence.free(held.seats, used) if held and used is not None else None),
        features=held.features if held else None,
        issued_at=when(held.issued_at * 1000) if held else None,
        expires_at=when(held.expires_ms) if held else None,
        grace_ends_at=when(held.ends_ms) if held else None,
        installation_id=found.installation,
        warning=said or None,
    )


def _seats(seats: Seats | None) -> SeatsData | None:
    return SeatsData.of(seats) if seats is not None else None


async def _install(ctx: RequestContext, call: Call[LicenceBody]) -> LicenceData:
    text, gate = call.body.license_key.strip(), ctx.services.licence
    await ctx.services.store.write(lambda unit: put_in_force(unit, gate, ctx, text))
    await gate.standing(fresh=True)
    found = await gate.overview()
    licence_watch.measure(ctx.services, found)
    return wire(found, ctx.now)


async def _show(ctx: RequestContext, call: Call[None]) -> LicenceData:
    return wire(await ctx.services.licence.overview(), ctx.now)


_PATH = "/api/admin/license-on-prem"
ROUTES = (
    Route("POST", _PATH, _install, Access.ADMIN, "Install an on-premise licence key", refusals=(LicenseInvalid,)),
    Route("GET", _PATH, _show, Access.ADMIN, "The state of the licence"),
)
