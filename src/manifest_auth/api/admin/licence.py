"""``/api/admin/license-on-prem``: install a licence key, and see which state it is in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth import audit, licence
from manifest_auth.audit import Event, Origin
from manifest_auth.errors import LicenseInvalid
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.licence import Overview
from manifest_auth.operations import licence_watch
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import SystemUnit
from manifest_auth.text.canonical import when


class LicenceBody(msgspec.Struct, frozen=True, rename="camel"):
    """Whatever is no key gets the same answer, so its length is bounded by the body alone."""

    license_key: Annotated[str, Meta(min_length=1)]


class SeatsData(msgspec.Struct, frozen=True):
    """Numbers of users, by licence type."""

    full: int
    operate: int
    connect: int


class LicenceData(msgspec.Struct, frozen=True, rename="camel"):
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


def wire(found: Overview, now: int) -> dict[str, Any]:
    standing, used = found.standing, found.used
    held = standing.licence
    said = licence.warning(standing, now)
    if standing.is_set_back:
        said = "; ".join(filter(None, (said, "the clock is behind the newest time that was seen here")))
    return {
        "state": standing.state.value,
        "customer": held.customer if held else None,
        "licenseId": held.id if held else None,
        "seats": msgspec.to_builtins(held.seats) if held else None,
        "seatsUsed": msgspec.to_builtins(used) if used is not None else None,
        "seatsFree": msgspec.to_builtins(licence.free(held.seats, used)) if held and used is not None else None,
        "features": held.features if held else None,
        "issuedAt": when(held.issued_at * 1000) if held else None,
        "expiresAt": when(held.expires_ms) if held else None,
        "graceEndsAt": when(held.ends_ms) if held else None,
        "installationId": found.installation,
        "warning": said or None,
    }


def put_in_force(unit: SystemUnit, services: Services, origin: RequestContext | Origin, text: str) -> None:
    """Installs a key, and writes down that it was or why it was not. Raises LicenseInvalid."""
    try:
        made, replaced = services.licence.install(unit, text, services.clock.now_ms())
    except LicenseInvalid as refusal:
        audit.record_installation(unit, origin, Event.LICENSE_REFUSED, why=refusal.reason)
        refusal.keeps_writes = True  # nothing but the audit event was written
        raise
    detail = {
        "license": made.id,
        "replaces": replaced,
        "customer": made.customer,
        "seats": msgspec.to_builtins(made.seats),
        "features": made.features,
        "issued": when(made.issued_at * 1000),
        "expires": when(made.expires_ms),
        "graceDays": made.grace_days,
        "installation": made.installation,
        "revokes": made.revokes,
        "resetsClock": made.resets_clock,
    }
    audit.record_installation(unit, origin, Event.LICENSE_INSTALLED, **detail)


async def _install(ctx: RequestContext, call: Call[LicenceBody]) -> Answer:
    text = call.body.license_key.strip()
    await ctx.services.store.write(lambda unit: put_in_force(unit, ctx.services, ctx, text))
    await ctx.services.licence.standing(fresh=True)
    found = await ctx.services.licence.overview()
    licence_watch.measure(ctx.services, found)
    return ok(wire(found, ctx.now))


async def _show(ctx: RequestContext, call: Call[None]) -> Answer:
    return ok(wire(await ctx.services.licence.overview(), ctx.now))


_PATH = "/api/admin/license-on-prem"
ROUTES = (
    Route("POST", _PATH, _install, Access.ADMIN, "Install an on-premise licence key", LicenceBody, LicenceData,
          refusals=(LicenseInvalid,)),
    Route("GET", _PATH, _show, Access.ADMIN, "The state of the licence", None, LicenceData),
)  # fmt: skip
