"""Devices: enrollment, sign-in with badge and PIN, and pairing by a code."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.api.client.auth import Nothing
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    NotFound,
    Overloaded,
    RateLimited,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route
from manifest_auth.http.sign_in_answer import SignInData, signed_in_answer
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import badge
from manifest_auth.sign_in.badge import EnrolledDeviceData, set_pin
from manifest_auth.sign_in.devices import approval
from manifest_auth.sign_in.devices.approval import DeviceData, PairingCodeData, PairingData

Pin = Annotated[str, Meta(min_length=1, max_length=64)]


class EnrolDeviceBody(msgspec.Struct, frozen=True):
    code: Annotated[
        str, Meta(min_length=1, max_length=200, description="The scanned code, or the letters that were entered.")
    ]


class BadgeBody(msgspec.Struct, frozen=True, rename="camel"):
    device_token: Annotated[str, Meta(min_length=1, max_length=200)]
    badge: Annotated[str, Meta(min_length=1, max_length=200, description="The content of the badge.")]
    pin: Pin
    new_pin: Annotated[str, Meta(min_length=1, max_length=64, description="Replaces a temporary PIN.")] | None = None


class OwnPinBody(msgspec.Struct, frozen=True):
    pin: Pin


async def _enrol(ctx: RequestContext, call: Call[EnrolDeviceBody]) -> EnrolledDeviceData:
    return await badge.enrol(ctx, call.body.code)


async def _sign_in(ctx: RequestContext, call: Call[BadgeBody]) -> Answer[SignInData]:
    body = call.body
    return signed_in_answer(
        ctx, await badge.sign_in(ctx, badge.BadgeShown(body.device_token, body.badge, body.pin, body.new_pin))
    )


async def _set_pin(ctx: RequestContext, call: Call[OwnPinBody]) -> Nothing:
    await set_pin(ctx, call.body.pin)
    return Nothing()


UserCode = Annotated[
    str,
    Meta(min_length=1, max_length=20, description="As the device shows it; case, spaces, and hyphens don't matter."),
]


class UserCodeBody(msgspec.Struct, frozen=True, rename="camel"):
    user_code: UserCode


class MatchBody(msgspec.Struct, frozen=True):
    match: Annotated[str, Meta(min_length=1, max_length=8, description="The two digits that the device shows.")]


async def _lookup(ctx: RequestContext, call: Call[UserCodeBody]) -> DeviceData:
    return await approval.look(ctx, call.body.user_code)


async def _approve(ctx: RequestContext, call: Call[UserCodeBody]) -> Nothing:
    await approval.approve(ctx, call.body.user_code)
    return Nothing()


async def _deny(ctx: RequestContext, call: Call[UserCodeBody]) -> Nothing:
    await approval.deny(ctx, call.body.user_code)
    return Nothing()


async def _begin(ctx: RequestContext, call: Call[None]) -> PairingCodeData:
    return await approval.begin_pairing(ctx)


async def _renew(ctx: RequestContext, call: Call[None]) -> PairingCodeData:
    return await approval.renew_pairing(ctx, call.path["id"])


async def _look(ctx: RequestContext, call: Call[None]) -> PairingData:
    return await approval.look_at_pairing(ctx, call.path["id"])


async def _approve_pairing(ctx: RequestContext, call: Call[MatchBody]) -> Nothing:
    await approval.approve_pairing(ctx, call.path["id"], call.body.match)
    return Nothing()


async def _deny_pairing(ctx: RequestContext, call: Call[None]) -> Nothing:
    await approval.deny_pairing(ctx, call.path["id"])
    return Nothing()


_PAIRING_BASE = "/api/client/auth/devices"
_PAIRING = f"{_PAIRING_BASE}/pairings/{{id}}"
_BY_CODE = (NotFound, Conflict, RateLimited)
_BADGE_BASE = "/api/client/auth"
ROUTES = (
    Route("POST", f"{_BADGE_BASE}/devices/enrol", _enrol, Access.OPEN, "Enroll a device with a code",
          limit=AUTH_LIMIT, refusals=(InvalidToken, Forbidden, RateLimited)),
    Route("POST", f"{_BADGE_BASE}/badge", _sign_in, Access.OPEN, "Sign in on an enrolled device with badge and PIN",
          limit=AUTH_LIMIT,
          refusals=(InvalidToken, InvalidCredentials, AccountDisabled, Forbidden, RateLimited, Overloaded)),
    Route("POST", f"{_BADGE_BASE}/badge-pin", _set_pin, Access.CLIENT, "Set your PIN; ends your badge sessions",
          limit=AUTH_LIMIT, refusals=(Conflict, Overloaded), asks=Act.PIN),
    Route("POST", f"{_PAIRING_BASE}/lookup", _lookup, Access.CLIENT,
          "Find the device that shows a code", limit=AUTH_LIMIT,
          refusals=_BY_CODE, asks=NOTHING),
    Route("POST", f"{_PAIRING_BASE}/approve", _approve, Access.CLIENT, "Approve the device that shows a code",
          limit=AUTH_LIMIT, refusals=(*_BY_CODE, Forbidden), asks=Act.PAIRING),
    Route("POST", f"{_PAIRING_BASE}/deny", _deny, Access.CLIENT, "Reject the device that shows a code",
          limit=AUTH_LIMIT,
          refusals=_BY_CODE, asks=NOTHING),
    Route("POST", f"{_PAIRING_BASE}/pairings", _begin, Access.CLIENT,
          "Start a pairing with a code that a device scans",
          status=201, limit=AUTH_LIMIT, refusals=(Forbidden, Conflict), asks=Act.PAIRING),
    Route("GET", _PAIRING, _look, Access.CLIENT, "Get the state of a pairing", refusals=(NotFound,)),
    Route("POST", f"{_PAIRING}/renew", _renew, Access.CLIENT, "Create another code for a pairing, valid for a minute",
          limit=AUTH_LIMIT, refusals=(NotFound, Conflict), asks=NOTHING),
    Route("POST", f"{_PAIRING}/approve", _approve_pairing, Access.CLIENT,
          "Approve the device that shows these two digits", limit=AUTH_LIMIT, refusals=(NotFound, Conflict, Forbidden),
          asks=Act.PAIRING),
    Route("POST", f"{_PAIRING}/deny", _deny_pairing, Access.CLIENT, "Reject the device, or end the pairing",
          limit=AUTH_LIMIT, refusals=(NotFound, Conflict), asks=NOTHING),
)  # fmt: skip
