"""If mail is set up, a new Admin's link is only emailed to the user; covers the command ``user roles`` too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.http.accounts.planted_accounts import CHOSEN, PATHS, PlantedAccount, planted_account
from tests.support import commands
from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.domain_claims import domain_counts
from tests.support.email_changes import until_idle
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.people import oidc_provider, user_of
from tests.support.secret_keys import SECRET_KEY
from tests.support.team import Team
from tests.support.user_management import reset

pytestmark = [pytest.mark.processes, pytest.mark.mail, pytest.mark.one_store]


@matrix("path", ["set_user_roles", "admin_plane", "restored"])
async def test_the_link_is_emailed_and_never_shown(
    app: App, mail_server: MailServer, path: str, tmp_path: Path
) -> None:
    mail_server.mails.clear()
    client = await new_client(app)
    async with oidc_provider(app, client) as public:
        user_id, email = await new_user(app, client, password=CHOSEN)
        planted = PlantedAccount(Team(app, client), public, user_id, email)
        assert await PATHS[path](planted, tmp_path) is None
        received = await mail_server.mail_to(email)
        assert mail_server.mails == []
        assert await planted.is_theirs(await reset(app, received.token, CHOSEN))


async def test_a_user_with_a_verified_identity_gets_no_link(app: App, mail_server: MailServer, tmp_path: Path) -> None:
    mail_server.mails.clear()
    client = await new_client(app)
    await domain_counts(app, client)
    async with oidc_provider(app, client, vouches=True) as company:
        await PATHS["set_user_roles"](await planted_account(Team(app, client), company), tmp_path)
        await until_idle(app)
        assert mail_server.mails == []


async def said(app: App, folder: Path, *words: str) -> commands.Result:
    """The output of the command."""
    settings = {"MANIFEST_DATABASE_URL": app.database, "MANIFEST_SECRET_KEY": SECRET_KEY}
    return await asyncio.to_thread(commands.run, folder, "user", "roles", *words, **settings)


async def test_the_command_sets_all_roles(app: App, tmp_path: Path) -> None:
    client = await new_client(app)
    user_id, email = await new_user(app, client, roles=["Viewer"])
    done = await said(app, tmp_path, email, "--client", client, "--role", "Author", "--role", "Operator")
    assert (done.status, done.out) == (0, f"User {email} now has these roles: Author, Operator.\n")
    assert (await user_of(app, client, user_id))["roles"] == ["Author", "Operator"]


async def test_the_command_rejects_in_one_line(app: App, tmp_path: Path) -> None:
    client = await new_client(app)
    _, only = await new_user(app, client, roles=["Admin"])
    refusals = [
        ((only, "--client", "nowhere", "--role", "Viewer"), "no client has the identifier nowhere"),
        (("no@one.example", "--client", client, "--role", "Viewer"), f"client {client} has no user no@one.example"),
        ((only, "--client", client, "--role", "Viewer"), "You can't remove the last active Admin of a client"),
    ]
    for words, line in refusals:
        done = await said(app, tmp_path, *words)
        assert (done.status, done.line) == (1, line)
