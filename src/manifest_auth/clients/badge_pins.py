"""A manager gives a user a temporary PIN: random digits, shown once, which the next sign-in replaces."""

from __future__ import annotations

from manifest_auth.accounts import badges, pins
from manifest_auth.runtime.clock import Random
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantStore
from manifest_auth.text.canonical import when
from manifest_auth.text.wire import Time, Wire


class TemporaryPinData(Wire, frozen=True):
    """``pin``: the next sign-in replaces it. Returned once."""

    pin: str
    ends_at: Time


async def reset_badge_pin(ctx: RequestContext, store: TenantStore, user_id: int) -> TemporaryPinData:
    """As :func:`manifest_auth.accounts.badges.reset_pin`, for a user of the store's client. Raises Overloaded too."""
    least = await store.write(lambda unit: badges.check_reset(unit, ctx, user_id))
    pin = _random_pin(ctx.services.random, least)
    prepared = pins.prepare(ctx.services.random, pin)
    hashed = await ctx.services.hasher.hash(prepared.text)
    ends_at = await store.write(lambda unit: badges.reset_pin(unit, ctx, user_id, prepared, hashed))
    return TemporaryPinData(pin, when(ends_at))


def _random_pin(random: Random, digits: int) -> str:
    """Digits that the rules for PINs let pass."""
    while True:
        number = int.from_bytes(random.bytes(16), "big") % 10**digits
        if not pins.is_guessable(pin := f"{number:0{digits}}"):
            return pin
