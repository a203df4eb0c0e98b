"""The record of a known origin is updated only from time to time."""

from __future__ import annotations

from sqlalchemy import select

from manifest_auth.store import Store, TenantUnit, tenant_scoped
from manifest_auth.store.tables import known_origins
from manifest_auth.throttle import throttle
from tests.store.conftest import Pair

ADDRESS, DEVICE = "192.0.2.7", "a device"
SEEN = tenant_scoped(select(known_origins.c.origin, known_origins.c.seen_at))


async def test_an_address_once_a_day_and_a_device_each_time(store: Store, pair: Pair, user_id: int) -> None:
    seen = []
    for now in (throttle.DAY_MS, 2 * throttle.DAY_MS - 1, 2 * throttle.DAY_MS):

        def work(unit: TenantUnit, now: int = now) -> dict[str, int]:
            throttle.remember_origins(unit, user_id, DEVICE, ADDRESS, now)
            return dict(unit.all(SEEN))

        found = await store.of(pair[0]).write(work)
        assert found[throttle.device_origin(DEVICE)] == now
        seen.append(found[throttle.address_origin(ADDRESS)])
    assert seen == [throttle.DAY_MS, throttle.DAY_MS, 2 * throttle.DAY_MS]


async def test_an_invalid_address_is_not_remembered(store: Store, pair: Pair, user_id: int) -> None:
    await store.of(pair[0]).write(lambda unit: throttle.remember_origins(unit, user_id, DEVICE, "unknown", 1))
    assert len(await store.of(pair[0]).read(lambda unit: unit.all(SEEN))) == 1
