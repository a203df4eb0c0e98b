"""An address is proved by a link that was e-mailed to it and followed; so is a password that was chosen with it."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_user
from tests.support.application import PASSWORD, App, running
from tests.support.email_changes import is_proved
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer
from tests.support.people import oidc_provider
from tests.support.single_sign_on import Browser
from tests.support.team import Crew, new_crew
from tests.support.user_management import INVITE, NEW, RESET, UPDATE, accept, invited, reset, started_reset

pytestmark = pytest.mark.mail


@pytest.fixture
async def crew(app: App, post: MailServer) -> Crew:
    post.letters.clear()
    return await new_crew(app)


async def mailed_invitation(crew: Crew, post: MailServer) -> tuple[int, str]:
    """A user who was invited by e-mail, and the token in it."""
    email = f"new@{crew.client}.example"
    user_id = (await crew.ask("User Admin", INVITE, input={"email": email, "roles": ["Viewer"]}))["user"]["id"]
    return user_id, (await post.letter_to(email)).token


async def test_an_account_that_was_made_is_not_proved(crew: Crew, post: MailServer) -> None:
    user_id, _ = await new_user(crew.app, crew.client, password=PASSWORD)
    assert await is_proved(crew, user_id) == (False, False)
    user_id, _ = await mailed_invitation(crew, post)
    assert await is_proved(crew, user_id) == (False, False)


async def test_a_first_password_by_an_e_mailed_invitation(crew: Crew, post: MailServer) -> None:
    user_id, token = await mailed_invitation(crew, post)
    check_success(await accept(crew.app, token))
    assert await is_proved(crew, user_id) == (True, True)


async def test_a_new_password_by_an_e_mailed_link(crew: Crew, post: MailServer) -> None:
    user_id, email = await new_user(crew.app, crew.client, password=PASSWORD)
    await crew.ask("User Admin", RESET, id=user_id)
    check_success(await reset(crew.app, (await post.letter_to(email)).token))
    assert await is_proved(crew, user_id) == (True, True)


async def test_a_provider_that_was_come_to_by_an_e_mailed_invitation_proves_no_password(
    crew: Crew, post: MailServer
) -> None:
    async with oidc_provider(crew.app, crew.client, createUsers=False) as company:
        user_id, token = await mailed_invitation(crew, post)
        browser = Browser(crew.app)
        begun = await browser.send(
            "POST", "/api/client/auth/link/start", body={"token": token, "provider": company.name}
        )
        company.knows("ada", "ada@elsewhere.example")
        back = await browser.send("GET", company.op.visit(check_success(begun)["location"]))
        assert back.status == 302
        assert await is_proved(crew, user_id) == (True, False)


async def test_a_password_that_was_changed_with_the_current_one_is_not_proved(crew: Crew, post: MailServer) -> None:
    """Not even in the very millisecond in which the address was."""
    user_id, token = await mailed_invitation(crew, post)
    reply = check_success(await accept(crew.app, token))
    body = {"currentPassword": NEW, "newPassword": "quartz-meadow-58-signal"}
    check_success(await crew.app.post("/api/client/auth/password", body, token=reply["token"]))
    assert await is_proved(crew, user_id) == (True, False)


async def test_another_address_is_proved_by_its_own_mailbox_and_the_password_is_not(
    crew: Crew, post: MailServer
) -> None:
    """Not even in the very millisecond in which the password was chosen."""
    user_id, token = await mailed_invitation(crew, post)
    check_success(await accept(crew.app, token))
    new = f"other@{crew.client}.example"
    await crew.ask("User Admin", UPDATE, id=user_id, input={"email": new})
    asked = await post.letter_to(new)
    check_success(await crew.app.post("/api/client/auth/email/confirm", {"token": asked.token}))
    assert await is_proved(crew, user_id) == (True, False)


async def test_a_link_that_was_shown_proves_nothing(database_url: str, app: App, crew: Crew) -> None:
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        bare = Crew(other, crew.client)
        user_id, token = await invited(bare)
        check_success(await accept(other, token))
        assert await is_proved(crew, user_id) == (False, False)
        check_success(await reset(other, await started_reset(bare, user_id), "quartz-meadow-58-signal"))
        assert await is_proved(crew, user_id) == (False, False)
        async with oidc_provider(other, crew.client, createUsers=False) as company:
            user_id, token = await invited(bare)
            await company.sign_in("ada", "ada@elsewhere.example", query={"invitation": token})
            assert await is_proved(crew, user_id) == (False, False)


async def test_an_address_that_is_given_without_mail_is_proved_no_more(
    database_url: str, app: App, crew: Crew, post: MailServer
) -> None:
    user_id, token = await mailed_invitation(crew, post)
    check_success(await accept(app, token))
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        bare = Crew(other, crew.client)
        await bare.ask("User Admin", UPDATE, id=user_id, input={"title": "Chief"})
        assert await is_proved(crew, user_id) == (True, True)
        await bare.ask("User Admin", UPDATE, id=user_id, input={"email": f"given@{crew.client}.example"})
    assert await is_proved(crew, user_id) == (False, False)
