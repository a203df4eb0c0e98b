"""Concurrent changes of a client's settings are all kept."""

from __future__ import annotations

import asyncio

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.people import member

SETTINGS = "/api/client/settings"


async def test_each_change_is_kept(app: App) -> None:
    admin = await member(app, await new_client(app), "Admin")
    for turn in range(5):
        changes = {
            "contact": f"Ask Ada, extension {turn}", "refreshStrict": turn % 2 == 0,
            "password": {"minLength": 14 + turn}, "sessions": {"maxSeconds": 3600 + turn},
        }  # fmt: skip
        sent = [app.send("PATCH", SETTINGS, {name: value}, token=admin.token) for name, value in changes.items()]
        for reply in await asyncio.gather(*sent):
            check_success(reply)
        kept = check_success(await app.get(SETTINGS, token=admin.token))
        assert (kept["contact"], kept["refreshStrict"]) == (changes["contact"], changes["refreshStrict"])
        assert (kept["password"]["minLength"], kept["sessions"]["maxSeconds"]) == (14 + turn, 3600 + turn)
