"""Logout notices to apps that wait to be sent."""

from __future__ import annotations

from typing import Any
from unittest import mock

from manifest_auth.runtime.outgoing_guard import TooManyCalls
from manifest_auth.sign_in.apps import logout
from tests.http.apps.relying import back_channel, relying
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.background_jobs import send_logout_notices
from tests.support.people import member
from tests.support.visitor import Visitor


async def test_a_wait_for_a_turn_is_no_try(app: App) -> None:
    client = await new_client(app)
    with back_channel() as channel:
        web = await relying(app, client, backchannelLogoutUri=channel.uri)
        await web.tokens(Visitor(app), (await member(app, client)).email)
        await app.post(f"/api/admin/clients/{client}/suspend", token=await app.admin_token())
        busy: Any = mock.AsyncMock(side_effect=TooManyCalls("too many calls are in progress"))
        for waits in (1, 2, 2):
            with mock.patch.object(app.services.outgoing, "post_form", busy):
                await send_logout_notices(app)
            assert busy.await_count == waits
            app.clock.advance(4 if waits == 1 else 0)
        app.clock.advance(4)
        channel.answers += [500] * 10
        for pause in (4, 60, 600, 3600, 86_400):
            await send_logout_notices(app)
            app.clock.advance(pause)
        await send_logout_notices(app)
        assert len(channel.heard) == 5


async def test_a_process_looks_in_time_at_what_a_killed_one_took(app: App) -> None:
    client, start = await new_client(app), app.clock.ms
    web = await relying(app, client, backchannelLogoutUri="https://reports.example/back")
    await web.tokens(Visitor(app), (await member(app, client)).email)
    await app.post(f"/api/admin/clients/{client}/suspend", token=await app.admin_token())
    app.clock.ms = start + round(logout.TOGETHER_S * 1000)
    [taken] = await logout.take_due(app.services, ended=True)  # by a process that is then killed
    while not (again := await logout.take_due(app.services, ended=False)):
        app.clock.ms += round(1000 * (await logout.pause_s(app.services) + logout.TOGETHER_S))
    assert (again[0].session_id, app.clock.ms - start <= 5000) == (taken.session_id, True)
