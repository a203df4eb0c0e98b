"""Requesting a password reset always returns the same response, and emails a link only to the account's address."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import Keys, act_on, keys_of, new_client, new_user, opened_by, settle, trail
from tests.support.application import PASSWORD, App, Reply, running
from tests.support.attempt_limits import ACCOUNT, ORIGIN, PROXY
from tests.support.background_jobs import later_work_waits
from tests.support.email_changes import until_idle
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.people import set_roles
from tests.support.rules import rule
from tests.support.statements import counted_statements
from tests.support.user_management import FORGOT, NEW, reset

pytestmark = [pytest.mark.settings(**PROXY), pytest.mark.mail, pytest.mark.still, pytest.mark.one_store]


@pytest.fixture(autouse=True)
async def another_day(app: App, mail_server: MailServer) -> None:
    app.clock.advance(3 * 86_400)
    await until_idle(app)
    mail_server.mails.clear()


async def forgot(app: App, email: str, client: str = "acme", address: str = "198.51.100.1", **headers: str) -> Reply:
    lines = {"X-Client-ID": client, "X-Forwarded-For": address, **headers}
    return await app.post(FORGOT, {"email": email}, headers={k: v for k, v in lines.items() if v})


async def test_a_link_is_mailed_with_which_a_new_password_is_chosen(app: App, mail_server: MailServer) -> None:
    user_id, email = await new_user(app, password=PASSWORD)
    keys = await keys_of(app, email)
    assert check_success(await forgot(app, email.upper())) == {}
    received = await mail_server.next_mail()
    assert received.recipients == [email]
    assert received.message["To"] == email
    assert "30 minutes" in received.text
    reply = await reset(app, received.token)
    mine = Keys(check_success(reply)["token"], reply.data["refreshToken"], reply.cookie("session"))
    assert await opened_by(app, keys) == []
    assert await opened_by(app, mine) == ["token", "cookie", "refresh token"]
    assert (await app.sign_in(email, NEW)).status == 200
    told = [event for event in await trail(app, "acme") if event.subject == f"user:{user_id}"]
    [started] = [event for event in told if event.event == "password_reset_started"]
    assert (started.actor, started.members["by"]) == ("anonymous", "mail")
    assert not [event for event in told if received.token in event.detail]


async def test_a_second_link_closes_the_first(app: App, mail_server: MailServer) -> None:
    _, email = await new_user(app, password=PASSWORD)
    links = []
    for _ in range(2):
        await forgot(app, email)
        links.append((await mail_server.next_mail()).token)
    assert [(await reset(app, token)).status for token in links] == [401, 200]


@rule("UNKNOWN-ACCOUNT")
async def test_the_answer_is_the_same_whatever_is_found(app: App, mail_server: MailServer) -> None:
    other = await new_client(app, passwordSignIn=False)
    suspended = await new_client(app)
    gone, gone_email = await new_user(app, password=PASSWORD)
    cases = {
        "known": ((await new_user(app, password=PASSWORD))[1], "acme"),
        "unknown": ("nobody@acme.example", "acme"),
        "no address": ("not an address", "acme"),
        "no password": ((await new_user(app))[1], "acme"),
        "deactivated": (gone_email, "acme"),
        "other client": ("viewer@globex.example", "acme"),
        "unknown client": ("viewer@acme.example", "no-such-client"),
        "no passwords": ((await new_user(app, other, password=PASSWORD))[1], other),
        "suspended": ((await new_user(app, suspended, password=PASSWORD))[1], suspended),
    }
    await act_on(app, f"acme/users/{gone}/deactivate")
    await act_on(app, f"{suspended}/suspend")
    replies: dict[str, Reply] = {}
    work: dict[str, list[str]] = {}
    for number, (name, (email, client)) in enumerate(cases.items()):
        with later_work_waits(app), counted_statements() as seen:
            replies[name] = await forgot(app, email, client, f"203.0.113.{number}")
            work[name] = [*seen]
        await until_idle(app)
    for reply in replies.values():
        check_success(reply)
        same_but_request_id(replies["known"], reply)
    assert len(work["unknown"]) == len(work["known"]) == len(work["no password"]), work
    assert [received.recipients for received in mail_server.mails] == [[cases["known"][0]]]


@rule("THROTTLE-COUNTS")
async def test_it_is_throttled_like_a_sign_in_and_alike_for_everybody(app: App, mail_server: MailServer) -> None:
    async def story(email: str, address: str) -> list[tuple[int, str | None]]:
        replies = [await forgot(app, email, address=address) for _ in range(ORIGIN.free + 2)]
        return [(reply.status, reply.headers.get("retry-after")) for reply in replies]

    _, email = await new_user(app, password=PASSWORD)
    known, unknown = await story(email, "198.51.100.9"), await story("still-nobody@acme.example", "198.51.100.10")
    assert known == unknown
    assert [status for status, _ in known] == [200] * ORIGIN.free + [429] * 2
    await until_idle(app)
    assert len(mail_server.mails) == ORIGIN.free
    check_refusal(await forgot(app, email, address="198.51.100.9"), 429, "RATE_LIMITED")
    assert [event.event for event in await trail(app, "acme")][-1] == "throttled"


async def test_no_one_fills_a_mailbox_from_many_addresses(app: App, mail_server: MailServer) -> None:
    _, email = await new_user(app, password=PASSWORD)
    replies = [await forgot(app, email, address=f"203.0.113.{number}") for number in range(ACCOUNT.free + 5)]
    assert [reply.status for reply in replies] == [200] * ACCOUNT.free + [429] * 5
    await until_idle(app)
    assert len(mail_server.mails) == ACCOUNT.free


@rule("THROTTLE-OWNER")
async def test_the_owners_device_still_gets_its_link(app: App, mail_server: MailServer) -> None:
    _, email = await new_user(app, password=PASSWORD)
    device = (await app.sign_in(email, headers={"X-Forwarded-For": "192.0.2.77"})).cookie("device")
    for number in range(ACCOUNT.free + 1):
        await forgot(app, email, address=f"203.0.113.{number}")
    assert (await forgot(app, email, address="203.0.113.200")).status == 429
    assert (await forgot(app, email, address="203.0.113.200", Cookie=f"device={device}")).status == 200


@rule("THROTTLE-COUNTS")
async def test_asking_for_links_and_using_one_gives_no_guesses_back(app: App, mail_server: MailServer) -> None:
    _, email = await new_user(app, password=PASSWORD)
    for number in range(ACCOUNT.free):
        await app.sign_in(email, "wrong-lantern-9-moss", "acme", headers={"X-Forwarded-For": f"203.0.113.{number}"})
    outsider = {"X-Forwarded-For": "203.0.113.99"}
    assert (await app.sign_in(email, PASSWORD, "acme", headers=outsider)).status == 429
    assert (await forgot(app, email)).status == 200
    received = await mail_server.next_mail()
    assert (await app.sign_in(email, PASSWORD, "acme", headers=outsider)).status == 429
    owner = await reset(app, received.token, headers={"X-Forwarded-For": "198.51.100.200"})
    assert owner.status == 200
    assert (await app.sign_in(email, NEW, "acme", headers=outsider)).status == 429
    mine = {"X-Forwarded-For": "203.0.113.98", "Cookie": f"device={owner.cookie('device')}"}
    assert (await app.sign_in(email, NEW, "acme", headers=mine)).status == 200


@rule("THROTTLE-COUNTS")
async def test_asking_for_links_locks_no_sign_in(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    for number in range(ACCOUNT.free + 1):
        await forgot(app, email, address=f"203.0.113.{number}")
    assert (await app.sign_in(email, client="acme", headers={"X-Forwarded-For": "203.0.113.150"})).status == 200


async def test_the_client_is_named_as_for_a_sign_in_or_in_the_body(app: App, mail_server: MailServer) -> None:
    client = await new_client(app)
    email = f"same@{client}.example"
    for where in (client, "globex"):
        await new_user(app, where, email, password=PASSWORD)
    for body, headers in (
        ({"client": client}, {}),
        ({}, {"X-Client-ID": client}),
        ({"client": client}, {"X-Client-ID": client}),
    ):
        check_success(await app.post(FORGOT, {"email": email, **body}, headers=headers))
        assert client in (await mail_server.next_mail()).message["Subject"]
    device = (await app.sign_in(email, client="globex")).cookie("device")
    for headers, named in (({"Cookie": f"device={device}"}, "Globex"), ({}, client)):
        check_success(await app.post(FORGOT, {"email": email}, headers=headers))
        assert named in (await mail_server.next_mail()).message["Subject"]
    reply = await app.post(FORGOT, {"email": email, "client": client}, headers={"X-Client-ID": "globex"})
    check_refusal(reply, 400, "VALIDATION_ERROR")


async def test_an_admin_resets_their_own_password_by_mail(app: App, mail_server: MailServer) -> None:
    client = await new_client(app)
    user_id, email = await new_user(app, client, password=PASSWORD)
    await forgot(app, email, client)
    received = await mail_server.next_mail()
    await set_roles(app, client, user_id, "Admin")  # this closes the link, and sends another one
    check_refusal(await reset(app, received.token), 401, "INVALID_TOKEN")
    check_success(await reset(app, (await mail_server.next_mail()).token))
    await forgot(app, email, client)
    check_success(await reset(app, (await mail_server.next_mail()).token, "quartz-meadow-58-signal"))


@matrix("body", [{}, {"email": 5}, {"email": "x" * 255}, {"email": "a@b.example", "client": "x" * 64}])
async def test_a_body_of_another_shape_is_rejected(app: App, body: Any) -> None:
    check_refusal(await app.post(FORGOT, body), 400, "VALIDATION_ERROR")


async def test_without_a_mail_server_the_answer_is_the_same_and_no_link_is_made(database_url: str, app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    expected = await forgot(app, email)
    await until_idle(app)
    before = len([event for event in await trail(app, "acme") if event.event == "password_reset_started"])
    async with running(database_url) as other:
        reply = await other.post(FORGOT, {"email": email}, headers={"X-Client-ID": "acme"})
        same_but_request_id(expected, reply)
        await until_idle(other)
        after = [event for event in await trail(other, "acme") if event.event == "password_reset_started"]
        assert len(after) == before


async def test_a_setting_changed_in_the_meantime_counts(app: App, mail_server: MailServer) -> None:
    client = await new_client(app)
    _, email = await new_user(app, client, password=PASSWORD)
    await forgot(app, email, client)
    received = await mail_server.next_mail()
    await settle(app, client, passwordSignIn=False)
    check_refusal(await reset(app, received.token), 409, "CONFLICT")
