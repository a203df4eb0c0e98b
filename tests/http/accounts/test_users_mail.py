"""One-time links by email: if mail is set up, only the user sees the link."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from tests.support.accounts import new_client, new_user
from tests.support.application import App, running
from tests.support.email_changes import random_texts
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer
from tests.support.rules import rule
from tests.support.team import Team, new_team
from tests.support.user_management import INVITE, RENEW, RESET, accept, directory, invited, reset

BUDGET_S = 3.0
CHOOSE = "choose a new password"

pytestmark = [pytest.mark.mail, pytest.mark.one_store]


@pytest.fixture
async def team(app: App, mail_server: MailServer) -> Team:
    mail_server.mails.clear()
    mail_server.refuses = ""
    return await new_team(app)


def mails(app: App, result: str) -> float:
    return app.sample("manifest_mails_total", result=result) or 0.0


def body(email: str = "ada@engines.example") -> dict[str, Any]:
    return {"email": email, "firstName": "Visit https://evil.example now", "roles": ["Viewer"]}


@rule("RESET-UNSEEN")
async def test_an_invitation_goes_only_to_the_user(team: Team, mail_server: MailServer) -> None:
    before = mails(team.app, "ok")
    reply = await team.send("User Admin", INVITE, input=body())
    handed = reply.json["data"]["inviteUser"]
    assert handed["link"] is None
    received = await mail_server.mail_to(body()["email"])
    assert mail_server.mails == []
    assert received.token not in reply.text
    assert received.message["To"] == body()["email"]
    assert received.message["Subject"] == f"{team.client}: your account is ready"
    assert "72 hours" in received.text
    assert "evil" not in received.text  # the inviting user can't change the text of our emails
    assert check_success(await accept(team.app, received.token))["user"]["id"] == handed["user"]["id"]
    assert mails(team.app, "ok") == before + 1


async def test_renewed_invitations_and_resets_are_emailed_too(team: Team, mail_server: MailServer) -> None:
    user_id = (await team.ask("Admin", INVITE, input=body()))["user"]["id"]
    first = await mail_server.mail_to(body()["email"])
    assert (await team.ask("Admin", RENEW, id=user_id))["link"] is None
    second = await mail_server.mail_to(body()["email"])
    assert (await team.ask("Admin", RESET, id=user_id))["link"] is None
    third = await mail_server.mail_to(body()["email"])
    assert (await accept(team.app, first.token)).code == "INVALID_TOKEN"
    assert "30 minutes" in third.text
    check_success(await reset(team.app, third.token))
    assert (await accept(team.app, second.token)).code == "INVALID_TOKEN"


@rule("RESET-UNSEEN")
async def test_a_system_admin_does_not_see_the_link_either(app: App, team: Team, mail_server: MailServer) -> None:
    client, admin = await new_client(app), await app.admin_token()
    user_id, email = await new_user(app, client)
    base = f"/api/admin/clients/{client}/users/{user_id}"
    invitation = check_success(await app.post(f"{base}/invitation", token=admin), 201)
    assert (invitation["token"], invitation["link"]) == (None, None)
    assert (await mail_server.mail_to(email)).token
    resetting = check_success(await app.post(f"{base}/password-reset", token=admin), 201)
    assert resetting.keys() == {"link", "sent", "expiresAt"}
    assert (resetting["link"], resetting["sent"]) == (None, True)
    received = await mail_server.mail_to(email)
    assert mail_server.mails == []
    check_success(await reset(app, received.token))


async def test_mail_goes_to_the_domain_in_the_ascii_of_the_dns(team: Team, mail_server: MailServer) -> None:
    await team.ask("User Admin", INVITE, input=body("Ada@Öm.example"))
    received = await mail_server.mail_to("Ada@xn--m-0ga.example")
    assert received.message["To"] == "Ada@xn--m-0ga.example"


@rule("RESET-UNSEEN")
async def test_a_rejecting_mail_server_reveals_no_link(app: App, team: Team, mail_server: MailServer) -> None:
    """A caller who waits for a failure, or causes one, still doesn't see the link."""
    mail_server.refuses, before = "550 no such mailbox", mails(app, "refused")
    with random_texts(app) as texts:
        handed = await team.send("User Admin", INVITE, input=body())
        user_id = handed.json["data"]["inviteUser"]["user"]["id"]
        client_admin, admin = (await team.member("User Admin")).token, await app.admin_token()
        base = f"/api/admin/clients/{team.client}/users/{user_id}"
        replies = [
            handed,
            await team.send("User Admin", RENEW, id=user_id),
            await team.send("User Admin", RESET, id=user_id),
            await app.post(f"/api/client/users/{user_id}/invitation", token=client_admin),
            await app.post(f"{base}/invitation", token=admin),
            await app.post(f"{base}/password-reset", token=admin),
        ]
    tokens = [text for text in texts if len(text) == 32]
    assert [reply.status for reply in replies] == [200, 200, 200, 201, 201, 201]
    assert len(tokens) == len(replies)
    for reply in replies:
        assert not [token for token in tokens if token in reply.text]
        assert "#" not in reply.text
        assert '"link":null' in reply.text.replace(" ", "")
        assert '"sent":false' in reply.text.replace(" ", "")
    assert mail_server.mails == []
    assert mails(app, "refused") == before + len(replies)
    assert (await directory(team, user_id))["email"] == body()["email"]


async def test_an_address_that_changed_gets_the_reset_and_the_links_of_the_old_one_close(
    team: Team, mail_server: MailServer
) -> None:
    user_id = (await team.ask("Admin", INVITE, input=body()))["user"]["id"]
    invitation = (await mail_server.mail_to(body()["email"])).token
    change = 'mutation($id: Int!) { updateUser(id: $id, input: {email: "new@engines.example"}) { id } }'
    await team.ask("Admin", change, id=user_id)
    await team.ask("Admin", RESET, id=user_id)
    await mail_server.mail_to(body()["email"], CHOOSE)  # nobody confirmed the new address
    asked = await mail_server.mail_to("new@engines.example")
    check_success(await team.app.post("/api/client/auth/email/confirm", {"token": asked.token}))
    assert (await accept(team.app, invitation)).code == "INVALID_TOKEN"
    await team.ask("Admin", RESET, id=user_id)
    link = await mail_server.mail_to("new@engines.example", CHOOSE)
    assert not [received for received in mail_server.mails if CHOOSE in received.message["Subject"]]
    check_success(await reset(team.app, link.token))


async def test_a_hanging_mail_server_delays_nobody(database_url: str, app: App) -> None:
    """All emails of one request share a single time limit."""
    listener = socket.create_server(("127.0.0.1", 0))  # never sends a greeting
    address = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
    team = await new_team(app)
    admin = await team.member("Admin")
    fields = " ".join(
        f'n{n}: inviteUser(input: {{email: "n{n}@engines.example", roles: ["Viewer"]}}) {{ link sent }}'
        for n in range(5)
    )
    async with running(database_url, MANIFEST_SMTP_URL=address, MANIFEST_MAIL_FROM="a@b.example") as other:
        other.clock.ms = app.clock.ms
        began = time.monotonic()
        reply = await other.graphql(f"mutation {{ {fields} }}", admin.token)
        assert time.monotonic() - began < 4 * BUDGET_S
    handed = list(reply.json["data"].values())
    assert handed == [{"link": None, "sent": False}] * 5
    listener.close()


async def test_without_a_mail_server_the_link_is_shown_to_the_user_who_asked(database_url: str, app: App) -> None:
    team = await new_team(app)
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        _, token = await invited(Team(other, team.client))
        check_success(await accept(other, token))
