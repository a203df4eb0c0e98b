"""When a user of a Microsoft provider becomes an Admin, a planted token is rejected, but the user's own works."""

from __future__ import annotations

import pytest

from tests.http.accounts.planted_accounts import CHOSEN
from tests.http.microsoft.test_dynamics_tokens import KEPT, given_by, rows
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.support.accounts import new_client, new_user
from tests.support.domain_claims import domain_counts
from tests.support.matrix import matrix
from tests.support.people import set_roles
from tests.support.team import Team
from tests.support.user_management import RENEW, RESET, reset, token_in

pytestmark = pytest.mark.one_store

ALICE = "alice@contoso.example"


async def own_directory(setup: MicrosoftSetup) -> tuple[Team, Provider]:
    """A client with users from contoso, which has its own domain."""
    client = await new_client(setup.app)
    team = Team(setup.app, client)
    company = await setup.entra_of_ours(
        client, {"trustEmail": True}, domains=["contoso.example"], createUsers=False, defaultRoles=["Viewer"]
    )
    await domain_counts(setup.app, client, "contoso.example")
    return team, company


async def planted(setup: MicrosoftSetup, team: Team, company: Provider, user_id: int, user: str) -> str:
    """Take over the account with a link as a User Admin, and link another person's token; returns the token."""
    handed = await team.ask("User Admin", RESET, id=user_id)
    keys = (await reset(setup.app, token_in(handed), CHOSEN)).data
    proof = {"password": CHOSEN}  # a link isn't re-authentication
    assert (await setup.app.post("/api/client/auth/reauthenticate", proof, token=keys["token"])).status == 200
    token = setup.microsoft.mint("graph", user=user)
    body = {"provider": company.name, "token": token}
    linked = await setup.app.post("/api/client/auth/identities/token", body, token=keys["token"])
    assert linked.status == 200, linked.text
    assert (await setup.me(token))["user"]["id"] == user_id
    return token


@matrix("kind", ["graph", "api"])
async def test_an_attackers_accepted_token_is_rejected_immediately(setup: MicrosoftSetup, kind: str) -> None:
    team, company = await own_directory(setup)
    user_id, _ = await new_user(setup.app, team.client, ALICE)
    own = setup.microsoft.mint(kind)
    assert (await setup.me(own))["user"]["id"] == user_id
    theirs = await planted(setup, team, company, user_id, "bob")
    await set_roles(setup.app, team.client, user_id, "Admin")
    await setup.refused(theirs, code="SSO_FAILED")
    assert (await setup.me(own))["roles"] == ["Admin"]
    assert (await setup.me(setup.microsoft.mint(kind)))["roles"] == ["Admin", "Viewer"]


async def test_groups_in_an_attackers_token_do_not_grant_admin(setup: MicrosoftSetup) -> None:
    team, company = await own_directory(setup)
    user_id, _ = await new_user(setup.app, team.client, ALICE)
    await setup.me(setup.microsoft.mint("graph"))
    await planted(setup, team, company, user_id, "bob")
    client_admins = "11111111-aaaa-4aaa-8aaa-111111111111"
    await company.change(groupRoles=[{"group": client_admins, "roles": ["Admin"]}])
    theirs = setup.microsoft.mint("api", user="bob", claims={"groups": [client_admins]})
    assert (await setup.me(theirs))["roles"] == ["Viewer"]
    assert (await setup.me(setup.microsoft.mint("api", claims={"groups": [client_admins]})))["roles"] == [
        "Admin",
        "Viewer",
    ]
    await setup.refused(theirs, code="SSO_FAILED")


async def test_stored_tokens_of_an_attackers_identity_are_deleted(setup: MicrosoftSetup) -> None:
    client = await new_client(setup.app)
    team = Team(setup.app, client)
    public = await setup.dynamics(client, KEPT)
    given_by(setup)
    user_id, _ = await new_user(setup.app, client)
    token = token_in(await team.ask("User Admin", RENEW, id=user_id))
    _, reply = await public.sign_in("bob", invitation=token)
    assert reply.status == 302, reply.text
    assert user_id in [row.user_id for row in await rows(setup)]
    await set_roles(setup.app, client, user_id, "Admin")
    assert user_id not in [row.user_id for row in await rows(setup)]
