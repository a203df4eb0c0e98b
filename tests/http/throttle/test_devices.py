"""The device cookie's marker is only valid for the user who received it from the server."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.attempt_limits import besiege, guess
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

MADE_UP = "A" * 22
STRANGE = "198.51.100.77"


async def after(app: App, email: str, device: str, client: str = "acme") -> str | None:
    """The marker that a sign-in with this one returns; None if it's kept."""
    reply = await guess(app, email, "203.0.113.5", PASSWORD, device, client)
    assert reply.status == 200, reply.text
    try:
        return reply.cookie("device")
    except KeyError:
        return None


@rule("THROTTLE-OWNER")
@matrix("marker", [MADE_UP, "x", MADE_UP + "0" * 64, MADE_UP + ".", "A" * 200])
async def test_a_made_up_marker_is_replaced_and_worth_nothing_afterward(app: App, marker: str) -> None:
    """An attacker puts a known value into a victim's browser, and waits for the victim to sign in."""
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


@rule("THROTTLE-OWNER")
async def test_an_altered_marker_is_replaced(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    given = await after(app, email, "")
    assert given is not None
    for altered in (given[:-1] + ("0" if given[-1] != "0" else "1"), MADE_UP + given[22:], given[:22]):
        _, other = await new_user(app, await new_client(app), password=PASSWORD)
        assert await after(app, other, altered, other.split("@")[1].removesuffix(".example")) is not None


@rule("THROTTLE-OWNER")
async def test_a_marker_of_the_attackers_own_account_is_worth_nothing(app: App) -> None:
    """The marker is planted in the browser of a victim, who then signs in."""
    (_, own), (_, victim) = await new_user(app, password=PASSWORD), await new_user(app, password=PASSWORD)
    planted = await after(app, own, "")
    assert planted is not None
    kept = await after(app, victim, planted)
    assert kept is not None
    assert (await besiege(app, victim)).status == 429
    assert (await guess(app, victim, STRANGE, PASSWORD, planted)).status == 429
    assert (await guess(app, victim, STRANGE, PASSWORD, kept)).status == 200


async def test_one_browser_is_known_to_the_people_of_two_clients(app: App) -> None:
    other = await new_client(app)
    people = [(await new_user(app, client, password=PASSWORD), client) for client in ("acme", other)]
    cookie = ""
    for (_, email), client in people:
        cookie = await after(app, email, cookie, client) or ""
        assert await after(app, email, cookie, client) is None
    for (_, email), client in people:
        for address in [f"198.51.7.{n}" for n in range(12)]:
            await guess(app, email, address, client=client)
        assert (await guess(app, email, STRANGE, PASSWORD, client=client)).status == 429
        assert (await guess(app, email, STRANGE, PASSWORD, cookie, client)).status == 200


async def test_a_browser_of_many_people_keeps_the_last_six(app: App) -> None:
    emails, cookie = [(await new_user(app, password=PASSWORD))[1] for _ in range(7)], ""
    for email in emails:
        cookie = await after(app, email, cookie) or ""
    assert len(cookie) < 600
    assert [await after(app, email, cookie) is None for email in emails] == [False] + [True] * 6
