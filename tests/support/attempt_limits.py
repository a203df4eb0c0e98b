"""Guesses of passwords from many addresses, and the numbers of free attempts as tests know them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from tests.support.application import App, Reply


class Free(NamedTuple):
    free: int


#: At an account from one origin, at an account from everywhere, and from an address at whatever accounts.
ORIGIN, ACCOUNT, ADDRESS = Free(5), Free(10), Free(50)
#: This many failures, and an account waits for a day.
HARD_CEILING = 100


def token_of_length(length: int, make: Callable[[str, str], str]) -> str:
    """A token of exactly that many characters. ``make`` builds it around two fillings, of header and claims: one alone
    does not give every length, since base64url writes four characters for three."""
    about = (length - len(make("", ""))) * 3 // 4
    fillings = itertools.product(range(4), range(about - 8, about + 8))
    tokens = (make("h" * header, "c" * claims) for header, claims in fillings)
    return next(token for token in tokens if len(token) == length)


WRONG = "not-the-kestrel-harbor-9"
DAY = 86_400
#: The settings of an application to which requests come from many addresses.
PROXY = {"MANIFEST_TRUSTED_PROXIES": "192.0.2.1"}


def at(address: str) -> dict[str, str]:
    """The header of a request from that address."""
    return {"X-Forwarded-For": address}


async def guess(
    app: App, email: str, address: str, password: str = WRONG, device: str = "", client: str = "acme"
) -> Reply:
    """One attempt to sign in, from that address and with that device's marker."""
    headers = {**at(address), **({"Cookie": f"device={device}"} if device else {})}
    return await app.sign_in(email, password, client, headers=headers)


def addresses(count: int, start: int = 0) -> list[str]:
    """This many addresses, each in a range that no other ``start`` reaches."""
    return [f"198.51.{(start + i) // 250}.{(start + i) % 250 + 1}" for i in range(count)]


async def besiege(app: App, email: str) -> Reply:
    """Guesses from many addresses, until the account is throttled; the last answer."""
    for address in addresses(ACCOUNT.free + 1, 1000):
        reply = await guess(app, email, address)
    return reply
