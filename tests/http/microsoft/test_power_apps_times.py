"""Power Apps tokens before they become valid and after they expire."""

from __future__ import annotations

import pytest

from tests.interop.microsoft import tokens
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import OTHER_APP
from tests.support.matrix import matrix

pytestmark = pytest.mark.one_store

KINDS = matrix("kind", ["graph", "api", "api-v1"])


def now(setup: MicrosoftSetup) -> int:
    return setup.app.clock.now_ms() // 1000


@KINDS
async def test_expired(setup: MicrosoftSetup, kind: str) -> None:
    await setup.entra_of_ours()
    for lifetime in (0, -1, -86_400):
        reply = await setup.refused(setup.microsoft.mint(kind, lifetime=lifetime), code="TOKEN_EXPIRED")
        assert 'error="invalid_token"' in reply.headers["www-authenticate"]
    assert setup.microsoft.count("graph") == 0  # Graph could only reject it


@KINDS
async def test_until_the_last_moment_and_not_beyond(setup: MicrosoftSetup, kind: str) -> None:
    await setup.entra_of_ours()
    token = setup.microsoft.mint(kind, lifetime=30)
    await setup.me(token)
    setup.app.clock.advance(29.999)
    await setup.me(token)
    setup.app.clock.advance(0.001)
    await setup.refused(token, code="TOKEN_EXPIRED")
    setup.app.clock.advance(3600)
    await setup.refused(token, code="TOKEN_EXPIRED")


@KINDS
async def test_not_valid_yet(setup: MicrosoftSetup, kind: str) -> None:
    await setup.entra_of_ours()
    for claims in ({"nbf": now(setup) + 61}, {"iat": now(setup) + 61}):
        await setup.refused(setup.microsoft.mint(kind, claims=claims))


@KINDS
async def test_a_minute_is_overlooked_since_clocks_differ(setup: MicrosoftSetup, kind: str) -> None:
    await setup.entra_of_ours()
    await setup.me(setup.microsoft.mint(kind, claims={"nbf": now(setup) + 60, "iat": now(setup) + 60}))


@matrix("kind", ["api", "api-v1"])
async def test_expired_is_said_of_genuine_tokens_alone(setup: MicrosoftSetup, kind: str) -> None:
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint(kind, lifetime=-1, key_of="fabrikam"))
    await setup.refused(tokens.tampered(setup.microsoft.mint(kind), exp=now(setup) - 1))
    await setup.refused(setup.microsoft.mint(kind, lifetime=-1, header={"alg": "none"}))


@KINDS
async def test_expired_is_not_said_of_a_token_that_was_never_any_good(setup: MicrosoftSetup, kind: str) -> None:
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint(kind, lifetime=-1, app=OTHER_APP))
    await setup.refused(setup.microsoft.mint(kind, "fabrikam", lifetime=-1))


async def test_an_expired_token_and_the_client_that_is_named(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours()
    for kind in ("graph", "api"):
        token = setup.microsoft.mint(kind, lifetime=-1)
        await setup.refused(token, code="TOKEN_EXPIRED", headers={"X-Client-ID": provider.client})
