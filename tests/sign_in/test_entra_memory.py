"""The cache of Entra ID tokens has a maximum size; beyond it, the oldest token is verified again."""

from __future__ import annotations

import pytest

from manifest_auth.sign_in.providers import entra_bearer
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup


def test_how_many_are_remembered() -> None:
    assert (entra_bearer.MOST, entra_bearer.MOST_TEXTS) == (20_000, 2000)


async def test_the_oldest_verdict_goes_when_there_is_one_too_many(
    setup: MicrosoftSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entra_bearer, "MOST", 3)
    await setup.entra()
    setup.app.services.entra = entra_bearer.EntraTokens()
    tokens = [setup.microsoft.mint("graph", lifetime=3600 + number) for number in range(5)]
    for token in tokens:
        await setup.me(token)
    assert setup.microsoft.count("graph") == 5
    for token in tokens[2:]:
        await setup.me(token)
    assert setup.microsoft.count("graph") == 5
    await setup.me(tokens[0])
    assert setup.microsoft.count("graph") == 6
    await setup.me(tokens[4])
    assert setup.microsoft.count("graph") == 6


async def test_no_more_texts_than_that_are_kept_and_who_comes_with_one_is_let_in_all_the_same(
    setup: MicrosoftSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entra_bearer, "MOST_TEXTS", 2)
    await setup.entra()
    remembered = setup.app.services.entra = entra_bearer.EntraTokens()
    tokens = [setup.microsoft.mint("graph", lifetime=3600 + number) for number in range(4)]
    for token in tokens:
        await setup.me(token)
    assert set(remembered._digests) == set(tokens[2:])
    for token in tokens:
        await setup.me(token)
    assert setup.microsoft.count("graph") == 4
