"""Password guesses from many addresses: the application runs behind a proxy that names them."""

from __future__ import annotations

from tests.support.application import App, Reply
from tests.support.attempt_limits import ACCOUNT

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
    """So many addresses, each in a range that no other ``start`` reaches."""
    return [f"198.51.{(start + i) // 250}.{(start + i) % 250 + 1}" for i in range(count)]


async def besiege(app: App, email: str) -> Reply:
    """Guesses from many addresses, until the account is throttled; the last answer."""
    for address in addresses(ACCOUNT.free + 1, 1000):
        reply = await guess(app, email, address)
    return reply
