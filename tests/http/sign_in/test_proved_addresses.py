"""Following an emailed link verifies an email address; a password chosen through that link is verified too."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_user
from tests.support.application import PASSWORD, App, running
from tests.support.email_changes import is_proved
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer
from tests.support.people import oidc_provider
from tests.support.single_sign_on import Browser
from tests.support.team import Team, new_team
from tests.support.user_management import INVITE, NEW, RESET, UPDATE, accept, invited, reset, started_reset

pytestmark = [pytest.mark.mail, pytest.mark.one_store]


@pytest.fixture
async def team(app: App, mail_server: MailServer) -> Team:
    mail_server.mails.clear()
    return await new_team(app)


async def mailed_invitation(team: Team, mail_server: MailServer) -> tuple[int, str]:
    """A user who was invited by email, and the invitation's token."""
    email = f"new@{team.client}.example"
    user_id = (await team.ask("User Admin", INVITE, input={"email": email, "roles": ["Viewer"]}))["user"]["id"]
    return user_id, (await mail_server.mail_to(email)).token


async def test_an_account_that_was_made_is_not_proved(team: Team, mail_server: MailServer) -> None:
    user_id, _ = await new_user(team.app, team.client, password=PASSWORD)
    assert await is_proved(team, user_id) == (False, False)
    user_id, _ = await mailed_invitation(team, mail_server)
    assert await is_proved(team, user_id) == (False, False)


async def test_a_first_password_by_an_emailed_invitation(team: Team, mail_server: MailServer) -> None:
    user_id, token = await mailed_invitation(team, mail_server)
    check_success(await accept(team.app, token))
    assert await is_proved(team, user_id) == (True, True)


async def test_a_new_password_by_an_emailed_link(team: Team, mail_server: MailServer) -> None:
    user_id, email = await new_user(team.app, team.client, password=PASSWORD)
    await team.ask("User Admin", RESET, id=user_id)
    check_success(await reset(team.app, (await mail_server.mail_to(email)).token))
    assert await is_proved(team, user_id) == (True, True)


async def test_a_provider_that_was_come_to_by_an_emailed_invitation_proves_no_password(
    team: Team, mail_server: MailServer
) -> None:
    async with oidc_provider(team.app, team.client, createUsers=False) as company:
        user_id, token = await mailed_invitation(team, mail_server)
        browser = Browser(team.app)
        begun = await browser.send(
            "POST", "/api/client/auth/link/start", body={"token": token, "provider": company.name}
        )
        company.knows("ada", "ada@elsewhere.example")
        back = await browser.send("GET", company.op.visit(check_success(begun)["location"]))
        assert back.status == 302
        assert await is_proved(team, user_id) == (True, False)


async def test_a_password_that_was_changed_with_the_current_one_is_not_proved(
    team: Team, mail_server: MailServer
) -> None:
    """Not even in the same millisecond as the address."""
    user_id, token = await mailed_invitation(team, mail_server)
    reply = check_success(await accept(team.app, token))
    body = {"currentPassword": NEW, "newPassword": "quartz-meadow-58-signal"}
    check_success(await team.app.post("/api/client/auth/password", body, token=reply["token"]))
    assert await is_proved(team, user_id) == (True, False)


async def test_another_address_is_proved_by_its_own_mailbox_and_the_password_is_not(
    team: Team, mail_server: MailServer
) -> None:
    """Not even in the same millisecond in which the password was chosen."""
    user_id, token = await mailed_invitation(team, mail_server)
    check_success(await accept(team.app, token))
    new = f"other@{team.client}.example"
    await team.ask("User Admin", UPDATE, id=user_id, input={"email": new})
    asked = await mail_server.mail_to(new)
    check_success(await team.app.post("/api/client/auth/email/confirm", {"token": asked.token}))
    assert await is_proved(team, user_id) == (True, False)


async def test_a_link_that_was_shown_verifies_nothing(database_url: str, app: App, team: Team) -> None:
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        bare = Team(other, team.client)
        user_id, token = await invited(bare)
        check_success(await accept(other, token))
        assert await is_proved(team, user_id) == (False, False)
        check_success(await reset(other, await started_reset(bare, user_id), "quartz-meadow-58-signal"))
        assert await is_proved(team, user_id) == (False, False)
        async with oidc_provider(other, team.client, createUsers=False) as company:
            user_id, token = await invited(bare)
            await company.sign_in("ada", "ada@elsewhere.example", query={"invitation": token})
            assert await is_proved(team, user_id) == (False, False)


async def test_an_address_that_is_given_without_mail_is_proved_no_more(
    database_url: str, app: App, team: Team, mail_server: MailServer
) -> None:
    user_id, token = await mailed_invitation(team, mail_server)
    check_success(await accept(app, token))
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        bare = Team(other, team.client)
        await bare.ask("User Admin", UPDATE, id=user_id, input={"title": "Chief"})
        assert await is_proved(team, user_id) == (True, True)
        await bare.ask("User Admin", UPDATE, id=user_id, input={"email": f"given@{team.client}.example"})
    assert await is_proved(team, user_id) == (False, False)
