"""Answers to the question for a second factor are counted before they are judged, so concurrent ones are no more."""

from __future__ import annotations

from manifest_auth.accounts.factors import challenges
from manifest_auth.store import SystemUnit
from tests.support.application import App
from tests.support.second_factors import enrolled


async def test_five_answers_are_counted_and_none_after_its_use(app: App) -> None:
    ada = await enrolled(app)
    texts = [(await ada.challenge())["challenge"] for _ in range(2)]

    def work(unit: SystemUnit) -> list[list[int]]:
        tried, used = (found for text in texts if (found := challenges.find(unit, text)) is not None)
        bound = unit.of(tried.tenant_id)
        assert [challenges.use(bound, used, app.clock.ms) for _ in range(2)] == [True, False]
        return [[challenges.count_try(bound, each) for _ in range(7)] for each in (tried, used)]

    assert await app.services.store.write(work) == [[1, 2, 3, 4, 5, 0, 0], [0] * 7]
