"""E-mails are queued with the act that they tell of, tried again for an hour, then given up in the trail."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select, update

from manifest_auth.mail_queue import rows
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import queued_mails
from tests.support.accounts import act_on, trail
from tests.support.application import App, running
from tests.support.email_changes import quiet
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer
from tests.support.team import Crew, new_crew
from tests.support.user_management import INVITE, RENEW, RESET, accept

MINUTE, HOUR = 60, 3600


class Waiting(NamedTuple):
    tenant_id: int
    id: str
    purpose: str
    mail: bytes
    tries: int


_ROWS = cross_tenant(
    select(*(queued_mails.c[name] for name in Waiting._fields)).order_by(queued_mails.c.created_at),
    Waiting,
    because="the test counts the e-mails of all clients",
)


@pytest.fixture
def post() -> Iterator[MailServer]:
    """The server that takes our mail, or does not."""
    with MailServer() as server:
        yield server


@pytest.fixture
async def app(database_url: str, post: MailServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    monkeypatch.setattr(
        "manifest_auth.mail_queue.mail_queue.EVERY_S", HOUR
    )  # the tests themselves say when the background job has its turn
    async with running(database_url, **post.settings) as application:
        yield application
        await quiet(application)
        application.clock.advance(2 * HOUR)
        await application.services.mail_queue.sweep()  # leaves nothing to the next test of this store


@pytest.fixture
async def crew(app: App) -> Crew:
    return await new_crew(app)


async def waiting(app: App) -> list[Waiting]:
    return await app.services.store.read(lambda unit: unit.all(_ROWS))


async def invite(crew: Crew, email: str = "ada@engines.example") -> dict[str, Any]:
    found: dict[str, Any] = await crew.ask("User Admin", INVITE, input={"email": email, "roles": ["Viewer"]})
    return found


def failures(events: list[Any]) -> list[Any]:
    return [event for event in events if event.event == "mail_failed"]


async def test_what_the_server_took_leaves_the_queue(crew: Crew, post: MailServer) -> None:
    handed = await invite(crew)
    assert (handed["link"], handed["sent"]) == (None, True)
    assert await waiting(crew.app) == []
    check_success(await accept(crew.app, post.letters[0].token))


async def test_what_the_server_refused_is_tried_again_until_it_takes_it(crew: Crew, post: MailServer) -> None:
    post.refuses = "451 try again later"
    handed = await invite(crew)
    assert (handed["link"], handed["sent"]) == (None, False)
    [row] = await waiting(crew.app)
    assert row.purpose == "invitation"
    assert b"engines.example" not in row.mail  # sealed
    post.refuses = ""
    await crew.app.services.mail_queue.sweep()
    assert post.letters == []  # its turn has not come
    crew.app.clock.advance(2 * MINUTE)
    await crew.app.services.mail_queue.sweep()
    [letter] = post.letters
    assert await waiting(crew.app) == []
    check_success(await accept(crew.app, letter.token))
    assert failures(await trail(crew.app, crew.client)) == []


async def test_after_an_hour_it_is_given_up_and_the_trail_says_so(crew: Crew, post: MailServer) -> None:
    post.refuses = "550 no such mailbox"
    user_id = (await invite(crew))["user"]["id"]
    for _ in range(12):
        crew.app.clock.advance(5 * MINUTE - 1)
        await crew.app.services.mail_queue.sweep()
        assert failures(await trail(crew.app, crew.client)) == []
    [row] = await waiting(crew.app)
    assert 4 <= row.tries <= 10
    crew.app.clock.advance(16 * MINUTE)
    await crew.app.services.mail_queue.sweep()
    assert await waiting(crew.app) == []
    [event] = failures(await trail(crew.app, crew.client))
    assert (event.actor, event.subject) == ("system", f"user:{user_id}")
    assert event.members["purpose"] == "invitation"
    assert event.members["tries"] == row.tries
    post.refuses = ""
    await crew.app.services.mail_queue.sweep()
    assert post.letters == []


async def test_a_link_that_ran_out_is_not_sent_any_more(crew: Crew, post: MailServer) -> None:
    user_id = (await invite(crew))["user"]["id"]
    post.letters.clear()
    post.refuses = "451 try again later"
    assert (await crew.ask("Admin", RESET, id=user_id))["sent"] is False
    post.refuses = ""
    crew.app.clock.advance(30 * MINUTE)
    await crew.app.services.mail_queue.sweep()
    assert post.letters == []
    [event] = failures(await trail(crew.app, crew.client))
    assert event.members["purpose"] == "reset"


async def test_what_no_key_opens_keeps_no_other_waiting(crew: Crew, post: MailServer) -> None:
    post.refuses = "451 try again later"
    for name in ("lost", "kept"):
        await invite(crew, f"{name}@engines.example")
    [first, _] = sorted(await waiting(crew.app), key=lambda row: row.id)
    junk = cross_tenant(
        update(queued_mails).where(queued_mails.c.id == first.id).values(mail=b"junk"), because="a key that was lost"
    )
    await crew.app.services.store.write(lambda unit: unit.change(junk))
    post.refuses = ""
    crew.app.clock.advance(2 * MINUTE)
    await crew.app.services.mail_queue.sweep()
    assert len(post.letters) == 1
    assert [row.id for row in await waiting(crew.app)] == [first.id]


async def test_a_server_that_is_gone_costs_no_e_mail(crew: Crew, post: MailServer) -> None:
    mail = crew.app.services.mail
    assert mail._server is not None
    mail._server = mail._server._replace(port=closed_port())
    assert (await invite(crew))["sent"] is False
    mail._server = mail._server._replace(port=post.port)
    crew.app.clock.advance(2 * MINUTE)
    await crew.app.services.mail_queue.sweep()
    check_success(await accept(crew.app, post.letters[0].token))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_server_that_is_slow_gets_each_e_mail_once_and_no_one_waits_for_it(
    crew: Crew, post: MailServer
) -> None:
    await crew.member("User Admin")
    post.is_holding = True
    handed = await invite(crew)
    post.is_holding = False
    assert (handed["link"], handed["sent"]) == (None, False)
    await quiet(crew.app)
    assert len(post.letters) == 1
    assert await waiting(crew.app) == []  # taken after the answer, so it is not tried again


async def test_each_e_mail_is_tried_by_one_process_at_a_time(crew: Crew, post: MailServer, database_url: str) -> None:
    post.refuses = "451 try again later"
    for number in range(6):
        await invite(crew, f"n{number}@engines.example")
    post.refuses = ""
    async with running(database_url, **post.settings) as other:
        crew.app.clock.advance(2 * MINUTE)
        other.clock.ms = crew.app.clock.ms
        await asyncio.gather(*(app.services.mail_queue.sweep() for app in (crew.app, other)))
    assert sorted(letter.recipients[0] for letter in post.letters) == [f"n{n}@engines.example" for n in range(6)]


async def test_a_client_whose_e_mails_fail_keeps_no_other_waiting(app: App, post: MailServer) -> None:
    loud, calm = await new_crew(app), await new_crew(app)
    post.refuses = "451 try again later"
    for number in range(12):
        await invite(loud, f"n{number}@loud.example")
    await invite(calm)
    app.clock.advance(2 * MINUTE)
    first = await app.services.store.read(lambda unit: rows.due(unit, app.clock.ms, 8))
    assert len({row.tenant_id for row in first}) == 2


async def test_a_suspended_client_sends_nothing(crew: Crew, post: MailServer) -> None:
    post.refuses = "451 try again later"
    await invite(crew)
    post.refuses = ""
    await act_on(crew.app, f"{crew.client}/suspend")
    crew.app.clock.advance(5 * MINUTE)
    await crew.app.services.mail_queue.sweep()
    assert post.letters == []
    crew.app.clock.advance(HOUR)
    await crew.app.services.mail_queue.sweep()
    assert await waiting(crew.app) == []
    assert len(failures(await trail(crew.app, crew.client))) == 1


async def test_a_second_copy_carries_the_name_of_the_first(crew: Crew, post: MailServer) -> None:
    """A process may die between the server's answer and its own note: mailboxes know the copy by its name."""
    post.refuses = "451 try again later"
    await invite(crew)
    [row] = await waiting(crew.app)
    post.refuses = ""
    crew.app.clock.advance(2 * MINUTE)
    await crew.app.services.mail_queue.sweep()
    assert row.id in str(post.letters[0].message["Message-ID"])


async def test_an_act_that_was_rolled_back_sends_nothing(crew: Crew, post: MailServer) -> None:
    await invite(crew)
    post.letters.clear()
    refused = await crew.refused("User Admin", INVITE, input={"email": "ada@engines.example", "roles": ["Viewer"]})
    assert refused.code == "CONFLICT"
    refused = await crew.refused("User Admin", RENEW, id=1)
    assert post.letters == []
    assert await waiting(crew.app) == []
