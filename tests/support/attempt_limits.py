"""Password guesses from many addresses, and the numbers of free attempts that tests expect."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from tests.support.application import App, Reply


class Free(NamedTuple):
    free: int


#: Limits for one account from one origin, for one account from all origins, and for one address across all accounts.
ORIGIN, ACCOUNT, ADDRESS = Free(5), Free(10), Free(50)
#: After this many failures, an account is blocked for a day.
HARD_CEILING = 100


def token_of_length(length: int, make: Callable[[str, str], str]) -> str:
    """A token of exactly this many characters. ``make`` builds it from two fillers, one for the header and one for the
    claims. A single filler can't reach every length, because base64url writes four characters for three bytes."""
    about = (length - len(make("", ""))) * 3 // 4
    fillings = itertools.product(range(4), range(about - 8, about + 8))
    tokens = (make("h" * header, "c" * claims) for header, claims in fillings)
    return next(token for token in tokens if len(token) == length)


WRONG = "not-the-kestrel-harbor-9"
DAY = 86_400
#: Settings of an application that receives requests from many addresses.
PROXY = {"MANIFEST_TRUSTED_PROXIES": "192.0.2.1"}


def at(address: str) -> dict[str, str]:
    """The header that makes a request come from that address."""
    return {"X-Forwarded-For": address}


async def guess(
    app: App, email: str, address: str, password: str = WRONG, device: str = "", client: str = "acme"
) -> Reply:
    """Try to sign in once, from this address and with this device marker."""
    headers = {**at(address), **({"Cookie": f"device={device}"} if device else {})}
    return await app.sign_in(email, password, client, headers=headers)


def addresses(count: int, start: int = 0) -> list[str]:
    """This many addresses, in a range that no other ``start`` reaches."""
    return [f"198.51.{(start + i) // 250}.{(start + i) % 250 + 1}" for i in range(count)]


async def besiege(app: App, email: str) -> Reply:
    """Guess from many addresses until the account is throttled, and return the last response."""
    for address in addresses(ACCOUNT.free + 1, 1000):
        reply = await guess(app, email, address)
    return reply
