"""In Microsoft Dynamics, the environment's user is a second subject of the same person; covers guests and roles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.http.microsoft.test_dynamics_person import (
    ALICE,
    CONTOSO,
    IDENTITIES,
    NO_ACCOUNT,
    in_dataverse,
    kept,
    signed_in,
)
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.accounts import new_user
from tests.support.application import PASSWORD
from tests.support.matrix import matrix
from tests.support.people import last_reason, member, session_of, users_of
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, check_no_one_got_in

pytestmark = pytest.mark.one_store


@rule("MICROSOFT-LINK")
async def test_an_environments_user_who_is_someone_elses_opens_nothing_and_leaves_nothing(
    setup: MicrosoftSetup,
) -> None:
    provider = await setup.dynamics()
    alice = await signed_in(provider)
    before = await kept(setup, provider.client)
    setup.microsoft.who_am_i["UserId"] = in_dataverse(1).rpartition(":")[2]
    _, reply = await provider.sign_in("bob")
    check_no_one_got_in(reply)
    assert await last_reason(setup.app, provider.client) == "another subject of this user is linked to a different user"
    assert await kept(setup, provider.client) == before
    assert list(await users_of(setup.app, provider.client)) == ["alice@contoso.example"]
    setup.microsoft.who_am_i.clear()
    bob = await signed_in(provider, "bob")
    setup.microsoft.who_am_i["UserId"] = in_dataverse(1).rpartition(":")[2].upper()
    check_no_one_got_in((await provider.sign_in("bob"))[1])
    assert set((await kept(setup, provider.client)).values()) == {alice["id"], bob["id"]}


async def test_an_invitation_is_not_used_up_by_an_environments_user_who_is_someone_elses(
    setup: MicrosoftSetup,
) -> None:
    provider = await setup.dynamics()
    await signed_in(provider)
    user_id, _ = await new_user(setup.app, provider.client, password=PASSWORD)
    path = f"/api/admin/clients/{provider.client}/users/{user_id}/invitation"
    token = (await setup.app.post(path, token=await setup.app.admin_token())).data["token"]
    setup.microsoft.who_am_i["UserId"] = in_dataverse(1).rpartition(":")[2]
    check_no_one_got_in((await provider.sign_in("bob", invitation=token))[1])
    setup.microsoft.who_am_i.clear()
    assert (await signed_in(provider, "bob", invitation=token))["id"] == user_id


async def test_an_environment_that_was_made_again_changes_no_one(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    alice = await signed_in(provider)
    fresh = "11111111-2222-4333-8444-555555555555"
    setup.microsoft.who_am_i = {"OrganizationId": fresh, "UserId": "5a5a5a5a-0000-4000-8000-000000000002"}
    assert (await signed_in(provider))["id"] == alice["id"]
    assert (await kept(setup, provider.client))[in_dataverse(2, fresh)] == alice["id"]
    setup.microsoft.who_am_i.clear()
    assert (await signed_in(provider, "bob"))["id"] != alice["id"]  # the same ID, in another environment


async def test_one_identity_is_listed_and_both_subjects_are_unlinked(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(createUsers=False)
    own = await member(setup.app, provider.client)
    browser = Browser(setup.app, {"session": own.cookie})
    for _ in range(2):
        begun = await browser.send("POST", IDENTITIES, body={"provider": provider.name})
        await browser.send("GET", setup.microsoft.visit(begun.data["location"], "alice"))
        [row] = (await browser.send("GET", IDENTITIES)).data["items"]
        assert (row["subject"], row["kind"], row["how"]) == (f"{CONTOSO}:{ALICE}", "dynamics", "consent")
        assert len(await kept(setup, provider.client)) == 2
        assert (await browser.send("DELETE", f"{IDENTITIES}/{row['id'] + 1}")).status == 404  # the second subject
        assert (await browser.send("DELETE", f"{IDENTITIES}/{row['id']}")).status == 200
        assert await kept(setup, provider.client) == {}
    assert check_no_one_got_in((await provider.sign_in())[1]) == NO_ACCOUNT
    other = await member(setup.app, provider.client)
    path = f"/api/admin/clients/{provider.client}/users/{other.id}/invitation"
    token = (await setup.app.post(path, token=await setup.app.admin_token())).data["token"]
    assert (await signed_in(provider, invitation=token))["id"] == other.id


async def test_a_guest_of_the_directory_who_is_a_user_of_the_environment_can_sign_in(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    assert (await signed_in(provider, "gina"))["email"] == "gina@partner.example"
    _, reply = await provider.sign_in("pat")  # also a guest, but not a user of the environment
    check_no_one_got_in(reply)


@matrix(
    ("groups", "roles"),
    [(["crm-authors"], {"Author"}), ("crm-authors", {"Author"}), (["other"], None), ([7, None], None), (None, None)],
)
async def test_roles_come_from_the_groups_of_the_id_token(
    setup: MicrosoftSetup, groups: Any, roles: set[str] | None
) -> None:
    line = {"group": "crm-authors", "roles": ["Author"]}
    provider = await setup.dynamics(defaultRoles=[], groupRoles=[line], dynamics={"groupClaim": "roles"})
    setup.microsoft.id_claims["roles"] = groups
    browser, reply = await provider.sign_in()
    if roles is None:
        check_no_one_got_in(reply)
        assert await users_of(setup.app, provider.client) == {}
    else:
        assert set((await session_of(browser))["roles"]) == roles


async def test_ten_browsers_of_someone_new_at_the_same_time_are_one_user(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    ended = await asyncio.gather(*(provider.sign_in() for _ in range(10)))
    assert {reply.status for _, reply in ended} == {302}
    assert len({(await session_of(browser))["user"]["id"] for browser, _ in ended}) == 1
    assert sorted(await kept(setup, provider.client)) == [f"{CONTOSO}:{ALICE}", in_dataverse(1)]
