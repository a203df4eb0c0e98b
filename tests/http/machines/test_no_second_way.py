"""A machine that manages users can't create another way to sign in, although it never needs to re-authenticate."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.machines import Machine, ask, machine
from tests.support.people import member
from tests.support.rules import rule

pytestmark = pytest.mark.mail
THIEF = "thief@evil.example"


@pytest.fixture
async def it(app: App) -> Machine:
    return await machine(app, await new_client(app), "User Admin")


@rule("MACHINE-RANK")
async def test_no_machine_moves_a_users_mailbox(app: App, it: Machine) -> None:
    """The reader of the new mailbox could reset the password."""
    user = await member(app, it.client, "User Admin")
    change = f'mutation {{ updateUser(id: {user.id}, input: {{email: "{THIEF}"}}) {{ pendingEmail }} }}'
    [error] = (await ask(app, it.key.text, change)).json["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    named = f'mutation {{ updateUser(id: {user.id}, input: {{title: "Dr"}}) {{ title pendingEmail }} }}'
    assert (await ask(app, it.key.text, named)).json["data"] == {"updateUser": {"title": "Dr", "pendingEmail": None}}


@rule("MACHINE-RANK")
async def test_the_link_of_who_is_invited_goes_to_the_mailbox_alone(app: App, it: Machine) -> None:
    invite = 'mutation { inviteUser(input: {email: "new@acme.example", roles: ["Viewer"]}) { link user { id } } }'
    done = (await ask(app, it.key.text, invite)).json
    assert "errors" not in done
    assert done["data"]["inviteUser"]["link"] is None


@rule("MACHINE-RANK")
async def test_no_machine_changes_the_clients_rules(app: App, it: Machine) -> None:
    for change in ({"returnAddresses": ["https://evil.example/cb"]}, {"allowedOrigins": ["https://evil.example"]}):
        check_refusal(await app.send("PATCH", "/api/client/settings", change, token=it.key.text), 403, "FORBIDDEN")
