"""``/api/admin/license-on-prem``: install a licence key, and see which state it is in."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Context
from manifest_auth.errors import LicenseInvalid
from manifest_auth.licence import Licence, Standing
from manifest_auth.store import SystemUnit
from manifest_auth.text import when
from manifest_auth.web import AUTH_LIMIT, Answer, Call, Door, Route, ok


class LicenceBody(msgspec.Struct, frozen=True, rename="camel"):
    license_key: Annotated[str, Meta(min_length=1, max_length=16384)]


class LicenceData(msgspec.Struct, frozen=True, rename="camel"):
    state: str
    customer: str | None
    license_id: str | None
    seats: dict[str, int] | None
    features: tuple[str, ...] | None
    expires_at: str | None


def wire(standing: Standing) -> dict[str, Any]:
    found = standing.licence
    return {
        "state": standing.state.value,
        "customer": found.customer if found else None,
        "licenseId": found.id if found else None,
        "seats": msgspec.to_builtins(found.seats) if found else None,
        "features": found.features if found else None,
        "expiresAt": when(found.expires_at * 1000) if found else None,
    }


async def _install(ctx: Context, call: Call[LicenceBody]) -> Answer:
    text = call.body.license_key.strip()

    def work(unit: SystemUnit) -> Licence:
        try:
            licence = ctx.house.licence.install(unit, text, ctx.now)
        except LicenseInvalid as refusal:
            audit.record_installation(unit, ctx, Event.LICENSE_REFUSED, why=refusal.reason)
            refusal.keeps_writes = True  # nothing but the audit event was written
            raise
        detail = {"license": licence.id, "customer": licence.customer}
        audit.record_installation(unit, ctx, Event.LICENSE_INSTALLED, **detail)
        return licence

    await ctx.house.store.write(work)
    return ok(wire(await ctx.house.licence.standing(fresh=True)))


async def _show(ctx: Context, call: Call[None]) -> Answer:
    return ok(wire(await ctx.house.licence.standing(fresh=True)))


_PATH = "/api/admin/license-on-prem"
ROUTES = (
    Route("POST", _PATH, _install, Door.ADMIN, "Install an on-premise licence key", LicenceBody, LicenceData,
          limit=AUTH_LIMIT, refusals=(LicenseInvalid,)),
    Route("GET", _PATH, _show, Door.ADMIN, "The state of the licence", None, LicenceData),
)  # fmt: skip
