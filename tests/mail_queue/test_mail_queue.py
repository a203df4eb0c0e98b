"""The mail queue: an email is queued in the transaction it reports, retried for an hour, then recorded as failed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select, update

from manifest_auth.accounts import mail_queue
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import queued_mails
from tests.support.accounts import act_on, trail
from tests.support.application import App, running
from tests.support.email_changes import until_idle
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer
from tests.support.team import Team, new_team
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
    because="the test counts the emails of all clients",
)


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """The server that accepts our mail, or rejects it."""
    with MailServer() as server:
        yield server


@pytest.fixture
async def app(database_url: str, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    monkeypatch.setattr(
        "manifest_auth.accounts.mail_queue.EVERY_S", HOUR
    )  # the tests decide when the background job runs
    async with running(database_url, **mail_server.settings) as application:
        yield application
        await until_idle(application)
        application.clock.advance(2 * HOUR)
        await application.services.mail_queue.sweep()  # leaves nothing for the next test with this database


@pytest.fixture
async def team(app: App) -> Team:
    return await new_team(app)


async def waiting(app: App) -> list[Waiting]:
    return await app.services.store.read(lambda unit: unit.all(_ROWS))


async def invite(team: Team, email: str = "ada@engines.example") -> dict[str, Any]:
    found: dict[str, Any] = await team.ask("User Admin", INVITE, input={"email": email, "roles": ["Viewer"]})
    return found


def failures(events: list[Any]) -> list[Any]:
    return [event for event in events if event.event == "mail_failed"]


async def test_what_the_server_took_leaves_the_queue(team: Team, mail_server: MailServer) -> None:
    handed = await invite(team)
    assert (handed["link"], handed["sent"]) == (None, True)
    assert await waiting(team.app) == []
    check_success(await accept(team.app, mail_server.mails[0].token))


async def test_what_the_server_rejected_is_tried_again_until_it_takes_it(team: Team, mail_server: MailServer) -> None:
    mail_server.refuses = "451 try again later"
    handed = await invite(team)
    assert (handed["link"], handed["sent"]) == (None, False)
    [row] = await waiting(team.app)
    assert row.purpose == "invitation"
    assert b"engines.example" not in row.mail  # encrypted
    mail_server.refuses = ""
    await team.app.services.mail_queue.sweep()
    assert mail_server.mails == []  # it's not due yet
    team.app.clock.advance(2 * MINUTE)
    await team.app.services.mail_queue.sweep()
    [received] = mail_server.mails
    assert await waiting(team.app) == []
    check_success(await accept(team.app, received.token))
    assert failures(await trail(team.app, team.client)) == []


async def test_after_an_hour_it_is_given_up_and_the_trail_says_so(team: Team, mail_server: MailServer) -> None:
    mail_server.refuses = "450 mailbox busy"
    user_id = (await invite(team))["user"]["id"]
    for _ in range(12):
        team.app.clock.advance(5 * MINUTE - 1)
        await team.app.services.mail_queue.sweep()
        assert failures(await trail(team.app, team.client)) == []
    [row] = await waiting(team.app)
    assert 4 <= row.tries <= 10
    team.app.clock.advance(16 * MINUTE)
    await team.app.services.mail_queue.sweep()
    assert await waiting(team.app) == []
    [event] = failures(await trail(team.app, team.client))
    assert (event.actor, event.subject) == ("system", f"user:{user_id}")
    assert event.members["purpose"] == "invitation"
    assert event.members["tries"] == row.tries
    mail_server.refuses = ""
    await team.app.services.mail_queue.sweep()
    assert mail_server.mails == []


@pytest.mark.parametrize("late", [False, True], ids=["its recipient", "its text"])
async def test_what_the_server_rejects_for_good_is_not_tried_again_and_the_trail_says_so(
    team: Team, mail_server: MailServer, late: bool
) -> None:
    mail_server.refuses, mail_server.refuses_late = "451 try again later", late
    user_id = (await invite(team))["user"]["id"]
    assert len(await waiting(team.app)) == 1
    mail_server.refuses = "550 no such mailbox"
    refused = team.app.sample("manifest_mails_total", result="refused") or 0
    team.app.clock.advance(2 * MINUTE)
    await team.app.services.mail_queue.sweep()
    assert await waiting(team.app) == []
    [event] = failures(await trail(team.app, team.client))
    assert (event.actor, event.subject) == ("system", f"user:{user_id}")
    assert (event.members["purpose"], event.members["tries"], event.members["refused"]) == ("invitation", 2, 550)
    assert team.app.sample("manifest_mails_total", result="refused") == refused + 1
    handed = await invite(team, "bob@engines.example")  # also at the first attempt
    assert (handed["link"], handed["sent"]) == (None, False)
    assert await waiting(team.app) == []
    assert len(failures(await trail(team.app, team.client))) == 2


async def test_a_link_that_ran_out_is_not_sent_any_longer(team: Team, mail_server: MailServer) -> None:
    user_id = (await invite(team))["user"]["id"]
    mail_server.mails.clear()
    mail_server.refuses = "451 try again later"
    assert (await team.ask("Admin", RESET, id=user_id))["sent"] is False
    mail_server.refuses = ""
    team.app.clock.advance(30 * MINUTE)
    await team.app.services.mail_queue.sweep()
    assert mail_server.mails == []
    [event] = failures(await trail(team.app, team.client))
    assert event.members["purpose"] == "reset"


async def test_what_no_key_opens_keeps_no_other_waiting(team: Team, mail_server: MailServer) -> None:
    mail_server.refuses = "451 try again later"
    for name in ("lost", "kept"):
        await invite(team, f"{name}@engines.example")
    [first, _] = sorted(await waiting(team.app), key=lambda row: row.id)
    junk = cross_tenant(
        update(queued_mails).where(queued_mails.c.id == first.id).values(mail=b"junk"), because="a key that was lost"
    )
    await team.app.services.store.write(lambda unit: unit.change(junk))
    mail_server.refuses = ""
    team.app.clock.advance(2 * MINUTE)
    await team.app.services.mail_queue.sweep()
    assert len(mail_server.mails) == 1
    assert [row.id for row in await waiting(team.app)] == [first.id]


async def test_a_server_that_is_gone_costs_no_email(team: Team, mail_server: MailServer) -> None:
    mail = team.app.services.mail
    assert mail._server is not None
    mail._server = mail._server._replace(port=closed_port())
    assert (await invite(team))["sent"] is False
    mail._server = mail._server._replace(port=mail_server.port)
    team.app.clock.advance(2 * MINUTE)
    await team.app.services.mail_queue.sweep()
    check_success(await accept(team.app, mail_server.mails[0].token))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_server_that_is_slow_gets_each_email_once_and_no_one_waits_for_it(
    team: Team, mail_server: MailServer
) -> None:
    await team.member("User Admin")
    mail_server.is_holding = True
    handed = await invite(team)
    mail_server.is_holding = False
    assert (handed["link"], handed["sent"]) == (None, False)
    await until_idle(team.app)
    assert len(mail_server.mails) == 1
    assert await waiting(team.app) == []  # accepted after the response, so it isn't tried again


async def test_each_email_is_tried_by_one_process_at_a_time(
    team: Team, mail_server: MailServer, database_url: str
) -> None:
    mail_server.refuses = "451 try again later"
    for number in range(6):
        await invite(team, f"n{number}@engines.example")
    await until_idle(team.app)
    mail_server.refuses = ""
    async with running(database_url, **mail_server.settings) as other:
        team.app.clock.advance(2 * MINUTE)
        other.clock.ms = team.app.clock.ms
        for _ in range(5):  # a process skips rows that the other one holds, and a slow round leaves some to the next
            await asyncio.gather(*(app.services.mail_queue.sweep() for app in (team.app, other)))
    assert sorted(received.recipients[0] for received in mail_server.mails) == [
        f"n{n}@engines.example" for n in range(6)
    ]


async def test_a_client_whose_emails_fail_keeps_no_other_waiting(app: App, mail_server: MailServer) -> None:
    loud, calm = await new_team(app), await new_team(app)
    mail_server.refuses = "451 try again later"
    for number in range(12):
        await invite(loud, f"n{number}@loud.example")
    await invite(calm)
    app.clock.advance(2 * MINUTE)
    first = await app.services.store.read(lambda unit: mail_queue.due(unit, app.clock.ms, 8))
    assert len({row.tenant_id for row in first}) == 2


async def test_a_suspended_client_sends_nothing(team: Team, mail_server: MailServer) -> None:
    mail_server.refuses = "451 try again later"
    await invite(team)
    mail_server.refuses = ""
    await act_on(team.app, f"{team.client}/suspend")
    team.app.clock.advance(5 * MINUTE)
    await team.app.services.mail_queue.sweep()
    assert mail_server.mails == []
    team.app.clock.advance(HOUR)
    await team.app.services.mail_queue.sweep()
    assert await waiting(team.app) == []
    assert len(failures(await trail(team.app, team.client))) == 1


async def test_a_second_copy_carries_the_name_of_the_first(team: Team, mail_server: MailServer) -> None:
    """A process can die between the server's response and its own record; mailboxes recognize the copy by its name."""
    mail_server.refuses = "451 try again later"
    await invite(team)
    [row] = await waiting(team.app)
    mail_server.refuses = ""
    team.app.clock.advance(2 * MINUTE)
    await team.app.services.mail_queue.sweep()
    assert row.id in str(mail_server.mails[0].message["Message-ID"])


async def test_an_act_that_was_rolled_back_sends_nothing(team: Team, mail_server: MailServer) -> None:
    await invite(team)
    mail_server.mails.clear()
    refused = await team.refused("User Admin", INVITE, input={"email": "ada@engines.example", "roles": ["Viewer"]})
    assert refused.code == "CONFLICT"
    refused = await team.refused("User Admin", RENEW, id=1)
    assert mail_server.mails == []
    assert await waiting(team.app) == []
