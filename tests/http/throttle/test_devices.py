"""The device cookie: only values that the server issued are accepted, and one serves all clients."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.password_guesses import besiege, guess, remember_device

pytestmark = pytest.mark.one_store

MADE_UP = "A" * 22
STRANGE = "198.51.100.77"


async def after(app: App, email: str, device: str, client: str = "acme") -> str | None:
    """The marker that a sign-in with this one is given; None: it is kept."""
    reply = await guess(app, email, "203.0.113.5", PASSWORD, device, client)
    assert reply.status == 200, reply.text
    try:
        return reply.cookie("device")
    except KeyError:
        return None


@pytest.mark.parametrize("marker", [MADE_UP, "x", MADE_UP + "0" * 64, MADE_UP + ".", "A" * 200])
async def test_a_made_up_marker_is_replaced_and_worth_nothing_afterwards(app: App, marker: str) -> None:
    """An attacker puts a known value into a victim's browser and waits until the victim signs in."""
    _, email = await new_user(app, password=PASSWORD)
    given = await after(app, email, marker)
    assert given is not None
    assert given != marker
    assert (await besiege(app, email)).status == 429
    assert (await guess(app, email, STRANGE, PASSWORD, marker)).status == 429
    assert (await guess(app, email, STRANGE, PASSWORD, given)).status == 200


async def test_a_marker_that_the_server_gave_out_is_kept(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    given = await after(app, email, "")
    assert given is not None
    assert await after(app, email, given) is None


async def test_an_altered_marker_is_replaced(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    given = await after(app, email, "")
    assert given is not None
    for altered in (given[:-1] + ("0" if given[-1] != "0" else "1"), MADE_UP + given[22:], given[:22]):
        _, other = await new_user(app, await new_client(app), password=PASSWORD)
        assert await after(app, other, altered, other.split("@")[1].removesuffix(".example")) is not None


async def test_one_browser_has_one_marker_for_the_people_of_two_clients(app: App) -> None:
    other = await new_client(app)
    (_, here), (_, there) = await new_user(app, password=PASSWORD), await new_user(app, other, password=PASSWORD)
    given = await after(app, here, "")
    assert given is not None
    assert [await after(app, there, given, other), await after(app, here, given)] == [None, None]
    for email, client in ((here, "acme"), (there, other)):
        for address in [f"198.51.7.{n}" for n in range(12)]:
            await guess(app, email, address, client=client)
        assert (await guess(app, email, STRANGE, PASSWORD, given, client)).status == 200


async def test_a_marker_from_before_there_were_macs_is_kept_where_the_client_knows_it(app: App) -> None:
    number, email = await new_user(app, password=PASSWORD)
    await remember_device(app, "acme", number, "B" * 22)
    assert await after(app, email, "B" * 22) is None
    other = await new_client(app)
    _, there = await new_user(app, other, password=PASSWORD)
    assert await after(app, there, "B" * 22, other) is not None
