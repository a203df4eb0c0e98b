"""Power Apps: tokens before their time and after it."""

from __future__ import annotations

import pytest

from tests.interop.microsoft import tokens
from tests.interop.microsoft.microsoft_setup import World
from tests.interop.microsoft.people import OTHER_APP

KINDS = pytest.mark.parametrize("kind", ["graph", "api", "api-v1"])


def now(world: World) -> int:
    return world.app.clock.now_ms() // 1000


@KINDS
async def test_expired(world: World, kind: str) -> None:
    await world.entra_of_ours()
    for lifetime in (0, -1, -86_400):
        reply = await world.refused(world.microsoft.mint(kind, lifetime=lifetime), code="TOKEN_EXPIRED")
        assert 'error="invalid_token"' in reply.headers["www-authenticate"]
    assert world.microsoft.count("graph") == 0  # Graph could only say that it is no good


@KINDS
async def test_until_the_last_moment_and_not_beyond(world: World, kind: str) -> None:
    await world.entra_of_ours()
    token = world.microsoft.mint(kind, lifetime=30)
    await world.me(token)
    world.app.clock.advance(29.999)
    await world.me(token)
    world.app.clock.advance(0.001)
    await world.refused(token, code="TOKEN_EXPIRED")
    world.app.clock.advance(3600)
    await world.refused(token, code="TOKEN_EXPIRED")


@KINDS
async def test_not_valid_yet(world: World, kind: str) -> None:
    await world.entra_of_ours()
    for claims in ({"nbf": now(world) + 61}, {"iat": now(world) + 61}):
        await world.refused(world.microsoft.mint(kind, claims=claims))


@KINDS
async def test_a_minute_is_overlooked_since_clocks_differ(world: World, kind: str) -> None:
    await world.entra_of_ours()
    await world.me(world.microsoft.mint(kind, claims={"nbf": now(world) + 60, "iat": now(world) + 60}))


@pytest.mark.parametrize("kind", ["api", "api-v1"])
async def test_expired_is_said_of_genuine_tokens_alone(world: World, kind: str) -> None:
    await world.entra_of_ours()
    await world.refused(world.microsoft.mint(kind, lifetime=-1, key_of="fabrikam"))
    await world.refused(tokens.tampered(world.microsoft.mint(kind), exp=now(world) - 1))
    await world.refused(world.microsoft.mint(kind, lifetime=-1, header={"alg": "none"}))


@KINDS
async def test_expired_is_not_said_of_a_token_that_was_never_any_good(world: World, kind: str) -> None:
    await world.entra_of_ours()
    await world.refused(world.microsoft.mint(kind, lifetime=-1, app=OTHER_APP))
    await world.refused(world.microsoft.mint(kind, "fabrikam", lifetime=-1))


async def test_an_expired_token_and_the_client_that_is_named(world: World) -> None:
    provider = await world.entra_of_ours()
    for kind in ("graph", "api"):
        token = world.microsoft.mint(kind, lifetime=-1)
        await world.refused(token, code="TOKEN_EXPIRED", headers={"X-Client-ID": provider.client})
