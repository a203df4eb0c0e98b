"""The cache of principals has a maximum size; beyond it, the oldest session is read again."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth import sessions
from manifest_auth.sessions import principals
from tests.support.accounts import keys_of
from tests.support.application import App
from tests.support.forged_tokens import claims_of
from tests.support.statements import beats_are_in_time


@pytest.fixture(autouse=True)
def _nothing_else_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    beats_are_in_time(monkeypatch)


def _looks(app: App) -> float:
    """The number of queries to the database."""
    labels = {"cache": "principals", "result": "miss"}
    return app.services.metrics.registry.get_sample_value("manifest_cache_total", labels) or 0.0


@pytest.mark.parametrize("by", ["token", "cookie"])
async def test_the_oldest_goes_when_there_is_one_too_many(app: App, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    monkeypatch.setattr(principals, "MOST", 3)
    shown = [{by: getattr(await keys_of(app), by)} for _ in range(5)]
    for one in shown:
        assert (await app.me(**one)).status == 200
    looks = _looks(app)
    for one in shown[2:]:
        assert (await app.me(**one)).status == 200
    assert _looks(app) == looks
    for number in (0, 1):  # each replaces the oldest remaining one
        assert (await app.me(**shown[number])).status == 200
    assert _looks(app) == looks + 2
    assert (await app.me(**shown[4])).status == 200
    assert _looks(app) == looks + 2
    assert (await app.me(**shown[2])).status == 200
    assert _looks(app) == looks + 3


async def test_of_a_session_that_was_forgotten_nothing_is_left(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(principals, "MOST", 2)
    keys = [await keys_of(app) for _ in range(4)]
    for key in keys:
        assert (await app.me(cookie=key.cookie)).status == 200
    held = app.services.principals
    sizes = [len(kept) for kept in (held._by_id, held._by_cookie, held._cookie_of)]
    assert sizes == [2, 2, 2]
    assert list(held._of_user.values()) == [set(held._by_id)]  # all for one user


async def test_what_was_read_while_it_changed_is_not_remembered(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session ends between the database's response and the moment when it would be cached."""
    store, keys = app.services.store, await keys_of(app)
    session_id = claims_of(keys.token)["sid"]
    looked = store.look_up_all

    async def look_up_all(statement: Any, **values: Any) -> Any:
        rows: list[Any] = await looked(statement, **values)
        for found in rows:
            if getattr(found, "session_id", None) == session_id and found.ended_at is None:
                assert await store.of(found.tenant_id).write(
                    lambda unit: sessions.end(unit, session_id, "ended", app.clock.ms)
                )
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(store, "look_up_all", look_up_all)
        await app.me(keys.token)
    assert (await app.me(keys.token)).status == 401
