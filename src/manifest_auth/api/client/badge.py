"""``/api/client/auth``: a device enrols itself, sign-in with badge and PIN, and a user's own PIN."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.api.client.auth import Nothing
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    Overloaded,
    RateLimited,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, Wire
from manifest_auth.http.sign_in_answer import SignInData, signed_in_answer
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import badge, device_enrolment
from manifest_auth.sign_in.badge import set_pin

Pin = Annotated[str, Meta(min_length=1, max_length=64)]


class EnrolDeviceBody(msgspec.Struct, frozen=True):
    code: Annotated[str, Meta(min_length=1, max_length=200, description="That was scanned, or letters typed.")]


class EnrolledDeviceData(Wire, frozen=True):
    """``deviceToken``: the device keeps it. Returned once."""

    device_id: str
    device_token: str
    client: str


class BadgeBody(msgspec.Struct, frozen=True, rename="camel"):
    device_token: Annotated[str, Meta(min_length=1, max_length=200)]
    badge: Annotated[str, Meta(min_length=1, max_length=200, description="What the badge shows.")]
    pin: Pin
    new_pin: Annotated[str, Meta(min_length=1, max_length=64, description="In place of a temporary one.")] | None = None


class OwnPinBody(msgspec.Struct, frozen=True):
    pin: Pin


async def _enrol(ctx: RequestContext, call: Call[EnrolDeviceBody]) -> EnrolledDeviceData:
    return EnrolledDeviceData(*await device_enrolment.enrol(ctx, call.body.code))


async def _sign_in(ctx: RequestContext, call: Call[BadgeBody]) -> Answer[SignInData]:
    body = call.body
    return signed_in_answer(
        ctx, await badge.sign_in(ctx, badge.BadgeShown(body.device_token, body.badge, body.pin, body.new_pin))
    )


async def _set_pin(ctx: RequestContext, call: Call[OwnPinBody]) -> Nothing:
    await set_pin(ctx, call.body.pin)
    return Nothing()


_BASE = "/api/client/auth"
ROUTES = (
    Route("POST", f"{_BASE}/devices/enrol", _enrol, Access.OPEN, "A device enrols itself with a code",
          limit=AUTH_LIMIT, refusals=(InvalidToken, Forbidden, RateLimited)),
    Route("POST", f"{_BASE}/badge", _sign_in, Access.OPEN, "Sign in on an enrolled device with badge and PIN",
          limit=AUTH_LIMIT,
          refusals=(InvalidToken, InvalidCredentials, AccountDisabled, Forbidden, RateLimited, Overloaded)),
    Route("POST", f"{_BASE}/badge-pin", _set_pin, Access.CLIENT, "Set your PIN; ends your sessions by badge",
          limit=AUTH_LIMIT, refusals=(Conflict, Overloaded)),
)  # fmt: skip
