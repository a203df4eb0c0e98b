"""A session is valid while it, its user and its client are: each condition is checked by itself."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth import sessions
from tests.support.accounts import keys_of
from tests.support.application import App
from tests.support.forged_tokens import claims_of


@pytest.mark.parametrize(
    ("changed", "alive"),
    [
        ({}, True),
        ({"ended_at": 1}, False),
        ({"deactivated_at": 1}, False),
        ({"suspended_at": 1}, False),
        ({"ended_at": 2**60}, False),  # that it has one counts, and not which
        ({"deactivated_at": 2**60}, False),
        ({"suspended_at": 2**60}, False),
    ],
    ids=repr,
)
async def test_one_that_says_no_is_enough(app: App, changed: dict[str, Any], alive: bool) -> None:
    session_id = claims_of((await keys_of(app)).token)["sid"]
    found = await app.services.store.read(lambda unit: sessions.read(unit, session_id))
    assert found is not None
    assert found._replace(**changed).is_alive(app.clock.ms) is alive


async def test_it_ends_at_its_end_and_not_before(app: App) -> None:
    session_id = claims_of((await keys_of(app)).token)["sid"]
    found = await app.services.store.read(lambda unit: sessions.read(unit, session_id))
    assert found is not None
    assert [found.is_alive(found.ends_at + ms) for ms in (-1, 0, 1)] == [True, False, False]


async def test_the_refresh_tokens_of_a_session_that_ended_go_no_further(app: App) -> None:
    """The statement itself decides: an earlier look must not be believed."""
    session_id = claims_of((await keys_of(app)).token)["sid"]
    found = await app.services.store.read(lambda unit: sessions.read(unit, session_id))
    assert found is not None
    tenant, before = app.services.store.of(found.tenant_id), found.refresh_current

    async def advanced(after: str, current: str) -> bool:
        at_once = await sessions.advance_at_once(tenant, found, current, after, app.clock.ms)
        again = await tenant.write(lambda unit: sessions.advance(unit, session_id, current, after, app.clock.ms))
        return at_once or again

    assert await advanced("A" * 16, before)
    assert not await advanced("B" * 16, before)  # of what was replaced
    assert await tenant.write(lambda unit: sessions.end(unit, session_id, "ended", app.clock.ms))
    assert not await advanced("B" * 16, "A" * 16)
