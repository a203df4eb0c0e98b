"""Microsoft Dynamics identifies a person by directory and object ID, never by an email address.

The environment's user is stored as well. The same person in Dynamics and in Power Apps is one user.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.interop.microsoft.people import ORGANIZATION_ID
from tests.support.accounts import new_client, new_user, number_of
from tests.support.people import member, session_of, user_of, users_of
from tests.support.rows import rows
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, check_no_one_got_in

pytestmark = pytest.mark.one_store

IDENTITIES = "/api/client/auth/identities"
CONTOSO = "c0c0c0c0-1111-4111-8111-111111111111"
ALICE, BOB = (f"aaaaaaaa-0000-4000-8000-00000000000{number}" for number in (1, 2))
NO_ACCOUNT = "There's no account for this user here"


def in_dataverse(number: int, organization: str = ORGANIZATION_ID) -> str:
    """The person's user in the environment, as stored."""
    return f"dataverse:{organization}:5a5a5a5a-0000-4000-8000-00000000000{number}"


async def kept(setup: MicrosoftSetup, client: str) -> dict[str, int]:
    """All subjects that a client knows, and their users."""
    tenant_id = await number_of(setup.app, client)
    return dict(await rows(setup.app, "identities", "subject", "user_id", tenant_id=tenant_id))


async def signed_in(provider: Provider, user: str = "alice", **query: Any) -> dict[str, Any]:
    """The user of a successful sign-in."""
    browser, reply = await provider.sign_in(user, **query)
    assert reply.status == 302, reply.text
    found: dict[str, Any] = (await session_of(browser))["user"]
    return found


async def test_someone_new_gets_an_account_and_is_the_same_user_again(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    first, again, other = [await signed_in(provider, user) for user in ("alice", "alice", "bob")]
    assert first["id"] == again["id"] != other["id"]
    assert await kept(setup, provider.client) == {
        f"{CONTOSO}:{ALICE}": first["id"],
        in_dataverse(1): first["id"],
        f"{CONTOSO}:{BOB}": other["id"],
        in_dataverse(2): other["id"],
    }
    # Bob has no mailbox, and so no claim `email`, but his sign-in name is an address too.
    assert (other["email"], other["firstName"], other["lastName"]) == ("bob@contoso.example", "Bob", "Builder")


async def test_where_no_one_is_created_only_those_who_are_known_can_sign_in(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    alice = await signed_in(provider)
    await provider.change(createUsers=False)
    _, reply = await provider.sign_in("bob")
    assert check_no_one_got_in(reply) == NO_ACCOUNT
    assert len(await kept(setup, provider.client)) == 2
    assert (await signed_in(provider))["id"] == alice["id"]


@rule("MICROSOFT-EMAIL")
async def test_an_address_alone_links_no_one(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    user_id, _ = await new_user(setup.app, provider.client, "alice@contoso.example")
    setup.microsoft.id_claims["email"] = "alice@contoso.example"
    for claims in ({}, {"email_verified": True}, {"xms_edov": True}):  # nobody here has verified the domain
        setup.microsoft.id_claims |= claims
        assert check_no_one_got_in((await provider.sign_in())[1]) == NO_ACCOUNT
    await provider.change(domains=["contoso.example"])
    setup.microsoft.id_claims["xms_edov"] = False
    assert check_no_one_got_in((await provider.sign_in())[1]) == NO_ACCOUNT
    assert await kept(setup, provider.client) == {}
    setup.microsoft.id_claims["xms_edov"] = True
    assert (await signed_in(provider))["id"] == user_id


async def test_a_verified_domain_says_nothing_of_the_name_that_a_person_signs_in_with(setup: MicrosoftSetup) -> None:
    """``xms_edov`` applies to the claim ``email``, which is missing."""
    provider = await setup.dynamics(domains=["contoso.example"])
    await new_user(setup.app, provider.client, "alice@contoso.example")
    setup.microsoft.id_claims["xms_edov"] = True
    assert check_no_one_got_in((await provider.sign_in())[1]) == NO_ACCOUNT


async def test_a_client_can_trust_the_addresses_of_its_own_directory(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(domains=["contoso.example"], dynamics={"trustEmail": True})
    user_id, _ = await new_user(setup.app, provider.client, "Alice@Contoso.example")
    assert (await signed_in(provider))["id"] == user_id


async def test_an_invitation_links_the_person_who_holds_it(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(createUsers=False)
    user_id, _ = await new_user(setup.app, provider.client, "other@else.example")
    path = f"/api/admin/clients/{provider.client}/users/{user_id}/invitation"
    invited = await setup.app.post(path, token=await setup.app.admin_token())
    assert (await signed_in(provider, invitation=invited.data["token"]))["id"] == user_id
    assert (await signed_in(provider))["id"] == user_id
    assert set((await kept(setup, provider.client)).values()) == {user_id}


async def test_the_signed_in_user_links_their_own_identity(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(createUsers=False)
    own = await member(setup.app, provider.client)
    browser = Browser(setup.app, {"session": own.cookie})
    begun = await browser.send("POST", IDENTITIES, body={"provider": provider.name})
    ended = await browser.send("GET", setup.microsoft.visit(begun.data["location"], "bob"))
    assert ended.status == 302, ended.text
    assert await kept(setup, provider.client) == {f"{CONTOSO}:{BOB}": own.id, in_dataverse(2): own.id}
    assert (await signed_in(provider, "bob"))["id"] == own.id


@rule("MICROSOFT-PERSON")
async def test_who_changes_name_and_address_at_microsoft_stays_who_they_are(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    before = await signed_in(provider)
    setup.microsoft.id_claims |= {"preferred_username": "alice.hargreaves@contoso.example", "sub": "new", "name": "A H"}
    after = await signed_in(provider)
    assert after == before
    await new_user(setup.app, provider.client, "alice.hargreaves@contoso.example")
    assert (await signed_in(provider))["id"] == before["id"]


async def test_by_dynamics_and_by_a_power_app_it_is_one_user_whichever_comes_first(setup: MicrosoftSetup) -> None:
    for first in ("dynamics", "entra"):
        provider = await setup.dynamics(defaultRoles=["Viewer"])
        await setup.entra(provider.client, defaultRoles=["Operator"])
        header, token = {"X-Client-ID": provider.client}, setup.microsoft.mint("graph")
        if first == "dynamics":
            user, me = await signed_in(provider), await setup.me(token, headers=header)
        else:
            me, user = await setup.me(token, headers=header), await signed_in(provider)
        assert me["user"]["id"] == user["id"]
        assert list(await users_of(setup.app, provider.client)) == ["alice@contoso.example"]
        found = await user_of(setup.app, provider.client, user["id"])
        assert set(found["roles"]) == {"Viewer", "Operator"}
        assert (await setup.me(token, headers=header))["roles"] == found["roles"]
        for one in setup.providers:  # the next round uses another client
            await one.act("delete")
        setup.providers.clear()


@rule("MICROSOFT-PERSON")
async def test_another_directorys_person_with_that_object_id_is_someone_else(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    fabrikam = setup.microsoft.named("fabrikam").id
    await setup.entra(provider.client, {"directory": fabrikam})
    alice = await signed_in(provider)
    token = setup.microsoft.mint("graph", "fabrikam", "alice")
    other = await setup.me(token, headers={"X-Client-ID": provider.client})
    assert other["user"]["id"] != alice["id"]


async def test_in_another_client_it_is_another_user(setup: MicrosoftSetup) -> None:
    one, two = await setup.dynamics(), await setup.dynamics()
    first, second = await signed_in(one), await signed_in(two)
    assert first["id"] != second["id"]
    assert set((await kept(setup, one.client)).values()) == {first["id"]}
    assert set((await kept(setup, two.client)).values()) == {second["id"]}


async def test_a_client_that_is_bound_to_no_directory_knows_no_one(setup: MicrosoftSetup) -> None:
    client = await new_client(setup.app)
    reply = await Browser(setup.app).start("ms-dynamics", client=client)
    assert reply.code == "NOT_FOUND"
