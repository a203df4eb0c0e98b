"""Pages that emails link to, opened with the printed code, and the page that requests such an email."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.email_changes import ask_own, mails_by_recipient, person, until_idle
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.second_factors import Person
from tests.support.team import Team, new_team
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.mail, pytest.mark.still, pytest.mark.one_store]
OVER = "This link or code is no longer valid. Request a new one."


@pytest.fixture
async def team(app: App, mail_server: MailServer, another_day: None) -> Team:
    await until_idle(app)
    mail_server.mails.clear()
    return await new_team(app)


async def looked(visitor: Visitor, token: str) -> Page:
    return await visitor.submit(await visitor.get("/welcome"), "/welcome", token=token)


@rule("EMAIL-UNDO")
async def test_a_new_address_is_confirmed_and_put_back(team: Team, mail_server: MailServer) -> None:
    user_id, old, token = await person(team, roles=["User Admin"])
    await Person(team.app, team.client, user_id, old).enrol(token)
    await until_idle(team.app)
    mail_server.mails.clear()
    await ask_own(team.app, token, f"other@{team.client}.example")
    mails = await mails_by_recipient(team.app, mail_server)
    new = f"other@{team.client}.example"
    visitor = Visitor(team.app)
    page = await looked(visitor, mails[new].token)
    assert page.heading == "Confirm your new address"
    page = await visitor.follow(await visitor.submit(page, "/welcome"))
    assert page.heading == "Your address is confirmed"
    assert new in page.text
    mails = await mails_by_recipient(team.app, mail_server)
    assert f"enter this code:\n\n{mails[old].token}\n" in mails[old].text
    page = await looked(visitor, mails[old].token)
    assert page.heading == "Restore your previous address"
    assert "Sign-in methods are removed if they were added in the 24 hours before the change" in page.text
    back = mails[old].token
    page = await visitor.follow(await visitor.submit(page, "/welcome"))
    assert page.heading == "Your address is restored"
    mails = await mails_by_recipient(team.app, mail_server)
    for told in (
        old,
        "The authenticator app was removed.",
        "The recovery codes no longer work.",
        "Check the audit log",
    ):
        assert told in page.text
        assert told in mails[old].text or told == old
    page = await looked(visitor, back)
    assert (page.status, page.problems) == (401, [OVER])


async def test_a_forgotten_password_is_answered_alike_and_replaced(team: Team, mail_server: MailServer) -> None:
    _, own, _ = await person(team)
    await until_idle(team.app)
    mail_server.mails.clear()
    answers = []
    for email in (own, f"nobody@{team.client}.example"):
        visitor = Visitor(team.app)
        page = await visitor.get(f"/sign-in?client={team.client}&loginHint={email}")
        page = await visitor.get(page.links()["Forgot your password?"])
        assert page.form("/forgot").fields["email"] == email
        page = await visitor.follow(await visitor.submit(page, "/forgot"))
        assert page.heading == "Check your email"
        answers.append(page.text.replace(email, "EMAIL"))
    assert answers[0] == answers[1]
    mails = await mails_by_recipient(team.app, mail_server)
    assert list(mails) == [own]
    [mail] = mails.values()
    page = await looked(visitor, mail.token)
    assert page.heading == "Choose a new password"


@matrix("email", ["", "x", "no-at"])
async def test_an_invalid_address_is_said(team: Team, email: str) -> None:
    visitor = Visitor(team.app)
    page = await visitor.submit(await visitor.get("/forgot"), "/forgot", email=email)
    assert (page.status, page.problems) == (400, ["Enter a valid email address"])


async def test_asking_again_and_again_is_slowed_down(team: Team) -> None:
    visitor = Visitor(team.app)
    page = await visitor.get("/forgot")
    while (answer := await visitor.submit(page, "/forgot", email="someone@x.example")).status == 303:
        pass
    assert answer.status == 429
    assert answer.form("/forgot").fields["email"] == "someone@x.example"
