"""What lies in the store of a session: nothing that would open it, and nothing that could be guessed."""

from __future__ import annotations

import base64
from typing import Any

from sqlalchemy import select

from manifest_auth.store import SystemUnit, crossing
from manifest_auth.store.tables import metadata
from tests.support.house import PASSWORD, App, Reply

_EVERYTHING = [crossing(select(table), because="a test looks for secrets") for table in metadata.sorted_tables]


async def _stored(app: App) -> str:
    """All that is in all tables, as text."""

    def work(unit: SystemUnit) -> list[Any]:
        return [row for statement in _EVERYTHING for row in unit.all(statement)]

    return repr(await app.house.store.read(work))


def _keys(reply: Reply) -> list[str]:
    return [reply.data["token"], reply.data["refreshToken"], reply.cookie("session")]


async def test_no_key_to_a_session_lies_in_the_store(app: App) -> None:
    signed_in = await app.sign_in(client="acme")
    keys = _keys(signed_in)
    child = (await app.refresh(signed_in.data["refreshToken"])).data
    grandchild = (await app.refresh(child["refreshToken"])).data
    keys += [child["token"], child["refreshToken"], grandchild["token"], grandchild["refreshToken"], PASSWORD]
    admin = (await app.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD})).data
    keys += [admin["token"], admin["refreshToken"]]
    stored = await _stored(app)
    assert "author@acme.example" in stored
    assert [key for key in keys if key in stored or key[-40:] in stored] == []


async def test_the_devices_marker_does_not_lie_in_the_store(app: App) -> None:
    marker = (await app.sign_in(email="viewer@acme.example", client="acme")).cookie("device")
    assert marker not in await _stored(app)


async def test_keys_have_128_random_bits_or_more(app: App) -> None:
    replies = [await app.sign_in(email="operator@acme.example", client="acme") for _ in range(20)]
    cookies = {reply.cookie("session") for reply in replies}
    sessions = {(await app.me(reply.data["token"])).data["session"]["id"] for reply in replies}
    for values, least in ((cookies, 32), (sessions, 16)):
        raw = [base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)) for value in values]
        assert len(raw) == len(replies)
        assert {len(value) for value in raw} == {least}
        # No byte is the same in all of them: nothing is counted up, taken from the clock or left at zero.
        assert all(len({value[position] for value in raw}) > 1 for position in range(least))
