"""Codes and PINs are counted before they are checked, so concurrent attempts can't exceed the limit."""

from __future__ import annotations

from manifest_auth.accounts import badges
from manifest_auth.accounts.factors import challenges
from manifest_auth.store import SystemUnit, TenantUnit
from tests.support.accounts import store_of
from tests.support.application import App
from tests.support.badges import badge_client
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


async def test_ten_pins_are_counted_and_none_of_a_dead_or_earlier_pin(app: App) -> None:
    factory = await badge_client(app)
    ada = await factory.person()

    def work(unit: TenantUnit) -> list[list[bool]]:
        pin = badges.find_pin(unit, ada.id)
        assert pin is not None
        former = [badges.count_pin_try(unit, pin._replace(hash="former"), app.clock.ms)]
        tried = [badges.count_pin_try(unit, pin, app.clock.ms) for _ in range(12)]
        assert badges.kill_pin(unit, pin, app.clock.ms)
        badges.pin_was_right(unit, ada.id)
        return [former, tried, [badges.count_pin_try(unit, pin, app.clock.ms)]]

    found = await (await store_of(app, factory.client)).write(work)
    assert found == [[False], [True] * 10 + [False] * 2, [False]]
