"""A session lets in while it, its user and its client all do: each of them is asked for itself, whatever else was done
when it changed."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth import sessions
from tests.support.accounts import keys_of
from tests.support.forging import claims_of
from tests.support.house import App


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
    found = await app.house.store.read(lambda unit: sessions.read(unit, session_id))
    assert found is not None
    assert found._replace(**changed).is_alive(app.clock.ms) is alive


async def test_it_ends_at_its_end_and_not_before(app: App) -> None:
    session_id = claims_of((await keys_of(app)).token)["sid"]
    found = await app.house.store.read(lambda unit: sessions.read(unit, session_id))
    assert found is not None
    assert [found.is_alive(found.ends_at + ms) for ms in (-1, 0, 1)] == [True, False, False]
