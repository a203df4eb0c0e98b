"""Who becomes an Admin, and Microsoft's people: a planter's token is refused at once, the person's own is not."""

from __future__ import annotations

import pytest

from tests.http.microsoft.test_dynamics_tokens import KEPT, given_by, rows
from tests.interop.microsoft.microsoft_setup import Provider, World
from tests.support.accounts import new_client, new_user
from tests.support.people import set_roles
from tests.support.planted_accounts import CHOSEN
from tests.support.team import Crew
from tests.support.user_management import RENEW, RESET, reset, token_in
from tests.support.vouched_domains import domain_counts

ALICE = "alice@contoso.example"


async def own_directory(world: World) -> tuple[Crew, Provider]:
    """A client whose people come from contoso, which speaks for its own domain."""
    client = await new_client(world.app)
    crew = Crew(world.app, client)
    company = await world.entra_of_ours(
        client, {"trustEmail": True}, domains=["contoso.example"], createUsers=False, defaultRoles=["Viewer"]
    )
    await domain_counts(world.app, client, "contoso.example")
    return crew, company


async def planted(world: World, crew: Crew, company: Provider, user_id: int, user: str) -> str:
    """A User Admin takes the account by a link and links somebody else's token to it: the token."""
    handed = await crew.ask("User Admin", RESET, id=user_id)
    keys = (await reset(world.app, token_in(handed), CHOSEN)).data
    token = world.microsoft.mint("graph", user=user)
    body = {"provider": company.name, "token": token}
    linked = await world.app.post("/api/client/auth/identities/token", body, token=keys["token"])
    assert linked.status == 200, linked.text
    assert (await world.me(token))["user"]["id"] == user_id
    return token


@pytest.mark.parametrize("kind", ["graph", "api"])
async def test_a_planters_token_that_was_let_in_is_refused_at_once(world: World, kind: str) -> None:
    crew, company = await own_directory(world)
    user_id, _ = await new_user(world.app, crew.client, ALICE)
    own = world.microsoft.mint(kind)
    assert (await world.me(own))["user"]["id"] == user_id
    theirs = await planted(world, crew, company, user_id, "bob")
    await set_roles(world.app, crew.client, user_id, "Admin")
    await world.refused(theirs, code="SSO_FAILED")
    assert (await world.me(own))["roles"] == ["Admin"]
    assert (await world.me(world.microsoft.mint(kind)))["roles"] == ["Admin", "Viewer"]


async def test_groups_that_a_planters_token_tells_make_no_admin(world: World) -> None:
    crew, company = await own_directory(world)
    user_id, _ = await new_user(world.app, crew.client, ALICE)
    await world.me(world.microsoft.mint("graph"))
    await planted(world, crew, company, user_id, "bob")
    bosses = "11111111-aaaa-4aaa-8aaa-111111111111"
    await company.change(groupRoles=[{"group": bosses, "roles": ["Admin"]}])
    theirs = world.microsoft.mint("api", user="bob", claims={"groups": [bosses]})
    assert (await world.me(theirs))["roles"] == ["Viewer"]
    assert (await world.me(world.microsoft.mint("api", claims={"groups": [bosses]})))["roles"] == ["Admin", "Viewer"]
    await world.refused(theirs, code="SSO_FAILED")


async def test_the_tokens_that_are_kept_of_a_planters_identity_go_with_it(world: World) -> None:
    client = await new_client(world.app)
    crew = Crew(world.app, client)
    public = await world.dynamics(client, KEPT)
    given_by(world)
    user_id, _ = await new_user(world.app, client)
    token = token_in(await crew.ask("User Admin", RENEW, id=user_id))
    _, reply = await public.sign_in("bob", invitation=token)
    assert reply.status == 302, reply.text
    assert user_id in [row.user_id for row in await rows(world)]
    await set_roles(world.app, client, user_id, "Admin")
    assert user_id not in [row.user_id for row in await rows(world)]
