"""Two nodes of one installation: when a session ends or is used on one, the other notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.application import App, running
from tests.support.badges import BadgeClient, Badged, Enrolled, badge_client
from tests.support.matrix import matrix
from tests.support.rules import rule

FELT_S = 1.0


@pytest.fixture(scope="module")
async def other(app: App, database_url: str) -> AsyncIterator[App]:
    async with running(database_url) as node:
        node.goes_by_the_clock_of(app)
        yield node


async def scene(app: App, other: App, **rules: int) -> tuple[BadgeClient, Badged, Enrolled, str]:
    """A user who is signed in by badge, cached by both nodes."""
    factory = await badge_client(app, **rules)
    ada, kiosk = await factory.person(), await factory.device()
    token = (await kiosk.sign_in(ada.badge)).data["token"]
    for node in (app, other):
        assert (await node.me(token)).status == 200
    return factory, ada, kiosk, token


async def felt(node: App, token: str) -> None:
    """Wait until the token is rejected, at most a second."""
    until = asyncio.get_running_loop().time() + FELT_S
    while (await node.me(token)).status == 200:
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.01)


@rule("BADGE-END")
@matrix("way", ["the next one", "its device", "its badge", "its PIN"])
async def test_a_removed_device_is_rejected_on_the_other_node(app: App, other: App, way: str) -> None:
    factory, ada, kiosk, token = await scene(app, other)
    if way == "the next one":
        assert (await kiosk.sign_in(ada.badge)).status == 200
    elif way == "its device":
        await factory.do("DELETE", f"/devices/{kiosk.id}")
    elif way == "its badge":
        await factory.do("DELETE", f"/users/{ada.id}/badges/{ada.badge_id}")
    else:
        await factory.temporary(ada.id)
    await felt(other, token)


async def test_a_use_on_one_node_counts_on_the_other(app: App, other: App) -> None:
    _, _, _, token = await scene(app, other, idleMinutes=5)
    for _ in range(3):
        app.clock.advance(4 * 60)
        assert (await app.me(token)).status == 200
    app.clock.advance(4 * 60)
    assert (await other.me(token)).status == 200  # this node saw no use for 16 minutes
    app.clock.advance(5 * 60)
    for node in (other, app):
        assert (await node.me(token)).status == 401
