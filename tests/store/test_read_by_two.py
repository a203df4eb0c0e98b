"""If two processes find the same background work at the same moment, only one of them does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest

from manifest_auth.licence import gate
from manifest_auth.licence.gate import LicenceStatus, State
from manifest_auth.maintenance import last_backup
from manifest_auth.store import installation_values
from tests.http.apps.relying import back_channel, relying
from tests.support.accounts import act_on, new_client, trail
from tests.support.application import App
from tests.support.background_jobs import check_providers, send_logout_notices, watch_secrets
from tests.support.email_changes import until_idle
from tests.support.machines import machine
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.people import member
from tests.support.rows import rows
from tests.support.single_sign_on import add_oidc
from tests.support.system_admins import events
from tests.support.team import new_team
from tests.support.user_management import INVITE
from tests.support.visitor import Visitor

pytestmark = [
    pytest.mark.still,
    pytest.mark.mail,
    pytest.mark.settings(MANIFEST_OUTGOING_PRIVATE="127.0.0.1/32"),
]
DAY = 86_400


@contextlib.contextmanager
def read_at_one_moment(app: App, name: str = "read") -> Iterator[None]:
    """Make two tasks wait until both have the first result of the store function ``name``."""
    original, both, left = getattr(app.services.store, name), asyncio.Barrier(2), 2

    async def read(*arguments: Any, **values: Any) -> Any:
        nonlocal left
        found = await original(*arguments, **values)
        if left:
            left -= 1
            await both.wait()
        return found

    with mock.patch.object(app.services.store, name, read):
        yield
    assert not left


async def twice(app: App, job: Callable[[], Awaitable[Any]], name: str = "read") -> tuple[Any, Any]:
    """Return the results of two runs of the job that find the same work."""
    with read_at_one_moment(app, name):
        return await asyncio.gather(job(), job())


@dataclass
class Place:
    """The application and its mail server."""

    app: App
    mail: MailServer


async def refused_mail(place: Place) -> str:
    """A client with an email that waits to be sent."""
    place.mail.refuses = "451 try again later"
    team = await new_team(place.app)
    await team.ask("User Admin", INVITE, input={"email": "ada@engines.example", "roles": ["Viewer"]})
    await until_idle(place.app)
    return team.client


async def a_mail_is_sent_again(place: Place) -> int:
    await refused_mail(place)
    before = len(place.mail.greeted_by)
    place.app.clock.advance(60)
    await twice(place.app, place.app.services.mail_queue.sweep)
    [(tries,)] = await rows(place.app, "queued_mails", "tries")
    assert tries == 2
    return len(place.mail.greeted_by) - before


async def a_mail_expires(place: Place) -> int:
    client = await refused_mail(place)
    place.app.clock.advance(3_600)
    await twice(place.app, place.app.services.mail_queue.sweep)
    return sum(one.event == "mail_failed" for one in await trail(place.app, client))


async def an_app_hears_of_a_sign_out(place: Place) -> int:
    client = await new_client(place.app)
    with back_channel() as channel:
        web = await relying(place.app, client, backchannelLogoutUri=channel.uri)
        await web.tokens(Visitor(place.app), (await member(place.app, client)).email)
        await act_on(place.app, f"{client}/suspend")
        await twice(place.app, lambda: send_logout_notices(place.app))
        return len(channel.heard)


async def a_provider_is_checked(place: Place) -> int:
    client = await new_client(place.app)
    with provider(place.app.clock) as op:
        await add_oidc(place.app, op, client, name="one")
        return sum(await twice(place.app, lambda: check_providers(place.app)))


async def the_end_of_a_key_is_recorded(place: Place) -> int:
    client = await new_client(place.app)
    await machine(place.app, client)
    place.app.clock.advance(90 * DAY)
    await twice(place.app, lambda: watch_secrets(place.app))
    return sum(one.event == "api_key_expired" for one in await trail(place.app, client))


async def a_restore_is_recorded(place: Place) -> int:
    store, now = place.app.services.store, place.app.clock.now_ms()
    await store.write(lambda unit: installation_values.put(unit, "restored", '{"at": 1}'))
    await twice(place.app, lambda: last_backup.record_restore_and_upgrade(store, now), "look_up")
    return sum(event == "restored" for event, *_ in await events(place.app))


async def a_change_of_the_license_is_recorded(place: Place) -> int:
    store, now = place.app.services.store, place.app.clock.now_ms()
    await twice(place.app, lambda: gate.record_change(store, LicenceStatus(State.GRACE), now), "look_up")
    return sum(event == "license_state_changed" for event, *_ in await events(place.app))


STORIES = [
    a_mail_is_sent_again, a_mail_expires, an_app_hears_of_a_sign_out, a_provider_is_checked,
    the_end_of_a_key_is_recorded, a_restore_is_recorded, a_change_of_the_license_is_recorded,
]  # fmt: skip


@pytest.fixture
async def place(app: App, mail_server: MailServer) -> AsyncIterator[Place]:
    yield Place(app, mail_server)
    mail_server.refuses = ""
    app.clock.advance(2 * 3_600)
    await app.services.mail_queue.sweep()  # leaves nothing for the next test


@matrix("story", STORIES, ids=[story.__name__ for story in STORIES])
async def test_one_of_two_processes_acts(place: Place, story: Callable[[Place], Awaitable[int]]) -> None:
    assert await story(place) == 1
