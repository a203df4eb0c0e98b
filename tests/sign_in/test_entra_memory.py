"""What is remembered of Entra ID tokens is bounded: with one too many the oldest is judged anew."""

from __future__ import annotations

import pytest

from manifest_auth.sign_in.providers import entra_bearer
from tests.interop.microsoft.microsoft_setup import World


def test_how_many_are_remembered() -> None:
    assert (entra_bearer.MOST, entra_bearer.MOST_TEXTS) == (20_000, 2000)


async def test_the_oldest_verdict_goes_when_there_is_one_too_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entra_bearer, "MOST", 3)
    await world.entra()
    world.app.services.entra = entra_bearer.EntraTokens()
    tokens = [world.microsoft.mint("graph", lifetime=3600 + number) for number in range(5)]
    for token in tokens:
        await world.me(token)
    assert world.microsoft.count("graph") == 5
    for token in tokens[2:]:
        await world.me(token)
    assert world.microsoft.count("graph") == 5
    await world.me(tokens[0])
    assert world.microsoft.count("graph") == 6
    await world.me(tokens[4])
    assert world.microsoft.count("graph") == 6


async def test_no_more_texts_than_that_are_kept_and_who_comes_with_one_is_let_in_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entra_bearer, "MOST_TEXTS", 2)
    await world.entra()
    remembered = world.app.services.entra = entra_bearer.EntraTokens()
    tokens = [world.microsoft.mint("graph", lifetime=3600 + number) for number in range(4)]
    for token in tokens:
        await world.me(token)
    assert set(remembered._digests) == set(tokens[2:])
    for token in tokens:
        await world.me(token)
    assert world.microsoft.count("graph") == 4
