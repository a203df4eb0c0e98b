"""A sign-in runs few SQL statements, and as many for a missing account as for an existing one."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.attempt_limits import PROXY, guess
from tests.support.matrix import matrix
from tests.support.statements import counted_statements, sent_to_postgres

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.settings(**PROXY), pytest.mark.still]


async def test_a_sign_in_takes_few_round_trips(app: App) -> None:
    """The account, its origin with a decoy, a read of the counters, and the count; then all the rest, in one."""
    for _ in range(2):
        with sent_to_postgres() as sent:
            assert (await app.sign_in()).status == 200
    assert len(sent) in (0, 5), sent  # 0 on SQLite, which has no round trips


@matrix("device", ["", "a-device-that-no-one-knows"])
async def test_a_missing_account_asks_for_the_same_as_a_real_one(app: App, device: str) -> None:
    asked = []
    for number, email in enumerate(("author@acme.example", "nobody-at-all@acme.example")):
        with counted_statements() as seen:
            reply = await guess(app, email, f"203.0.113.{number}", device=device)
        assert reply.code == "INVALID_CREDENTIALS"
        asked.append(seen)
    assert asked[0] == asked[1]
