"""Whose bearers are Microsoft's tokens that name no client: those of clients whose claim on the directory counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import Provider, World
from tests.interop.microsoft.people import OTHER_APP, POWER_APP
from tests.support.accounts import act_on, new_client
from tests.support.application import Reply
from tests.support.directory_claims import REASON, directory_counts, directory_released
from tests.support.people import users_of

KINDS = pytest.mark.parametrize("kind", ["graph", "api"])


def naming(client: str) -> dict[str, str]:
    return {"X-Client-ID": client}


async def squatter(world: World, **members: Any) -> Provider:
    """A client that binds contoso with the apps of others, gives everybody everything, and proves nothing."""
    entra = {"applications": [POWER_APP, OTHER_APP], **members.pop("entra", {})}
    return await world.entra_of_ours(entra=entra, counts=False, defaultRoles=["Viewer"], **members)


def said(reply: Reply) -> tuple[int, str, str]:
    """What an answer tells of a token."""
    if reply.status == 200:
        return 200, reply.data["client"]["identifier"], ",".join(reply.data["roles"])
    return reply.status, reply.code, str(reply.json["error"]["message"])


async def verdicts(world: World, client: str) -> list[tuple[int, str, str]]:
    """What is said of tokens of every kind, new ones each time, with and without the client's name."""
    found = []
    mint = world.microsoft.mint
    for name in ({}, naming(client), naming("globex")):
        for token in (
            mint("graph"), mint("api"), mint("api-v1"), mint("graph", app=OTHER_APP), mint("graph", user="gina"),
            mint("graph", key_of="fabrikam"), mint("api", key_of="fabrikam"), mint("graph", "fabrikam", "mallory"),
            mint("api", claims={"scp": None}), mint("api", lifetime=-10), mint("graph", lifetime=-10), mint("id"),
        ):  # fmt: skip
            found.append(said(await world.app.me(token, headers=name)))
    await world.forgive()
    return found


@pytest.mark.timeout(240)
async def test_twenty_squatters_change_no_verdict(world: World) -> None:
    """Not before they are many, nor after, nor while some of them are suspended or switched off."""
    owner = await world.entra_of_ours()
    before = await verdicts(world, owner.client)
    assert {status for status, _, _ in before} == {200, 401, 403}
    squatters = [await squatter(world) for _ in range(20)]
    assert await verdicts(world, owner.client) == before
    await act_on(world.app, f"{squatters[0].client}/suspend")
    await squatters[1].act("switch-off")
    await squatters[2].change(entra={"guests": True})
    assert await verdicts(world, owner.client) == before
    for one in squatters:
        assert await users_of(world.app, one.client) == {}
    await act_on(world.app, f"{squatters[0].client}/restore")


@KINDS
async def test_before_any_claim_counts_nobody_is_asked(world: World, kind: str) -> None:
    provider = await squatter(world)
    await world.refused(world.microsoft.mint(kind))
    assert (world.microsoft.count("graph"), world.microsoft.count("keys")) == (0, 0)
    assert await users_of(world.app, provider.client) == {}


@KINDS
async def test_the_client_that_is_named_is_judged_alone_whether_its_claim_counts_or_not(
    world: World, kind: str
) -> None:
    owner, other = await world.entra_of_ours(), await squatter(world)
    token = world.microsoft.mint(kind)
    assert (await world.me(token, headers=naming(other.client)))["client"]["identifier"] == other.client
    assert (await world.me(token))["client"]["identifier"] == owner.client
    assert (await world.me(token, headers=naming(owner.client)))["client"]["identifier"] == owner.client


@KINDS
async def test_from_when_a_claim_counts_the_token_need_name_nobody_and_from_when_it_stops_it_must(
    world: World, kind: str
) -> None:
    """With the next request, though verdicts are remembered."""
    provider = await squatter(world)
    directory, token = world.microsoft.named("contoso").id, world.microsoft.mint(kind)
    for _ in range(2):
        await world.refused(token)
        await directory_counts(world.app, provider.client, directory)
        assert (await world.me(token))["client"]["identifier"] == provider.client
        await world.me(token, headers=naming(provider.client))
        await directory_released(world.app, provider.client, directory)
        # What is remembered of the same person by another verdict does not let this one in.
        await world.me(token, headers=naming(provider.client))
    await world.refused(token)
    await world.me(token, headers=naming(provider.client))


@KINDS
async def test_a_grant_makes_remembered_tokens_ambiguous_at_once_and_its_end_makes_them_clear(
    world: World, kind: str
) -> None:
    owner, other = await world.entra_of_ours(), await squatter(world)
    token = world.microsoft.mint(kind)
    await world.me(token)
    await directory_counts(world.app, other.client, world.microsoft.named("contoso").id)
    await world.refused(token)
    for one in (owner, other):
        assert (await world.me(token, headers=naming(one.client)))["client"]["identifier"] == one.client
    path = f"/api/admin/directories/{world.microsoft.named('contoso').id}/clients/{other.client}"
    assert (await world.app.send("DELETE", path, token=await world.app.admin_token())).status == 200
    assert (await world.me(token))["client"]["identifier"] == owner.client


@KINDS
async def test_the_directory_passes_to_another_client_and_its_people_with_the_next_request(
    world: World, kind: str
) -> None:
    first, second = await world.entra_of_ours(), await squatter(world)
    directory, token = world.microsoft.named("contoso").id, world.microsoft.mint(kind)
    assert (await world.me(token))["client"]["identifier"] == first.client
    await directory_released(world.app, first.client, directory)
    await directory_counts(world.app, second.client, directory)
    assert (await world.me(token))["client"]["identifier"] == second.client


@KINDS
async def test_whether_a_token_is_genuine_comes_before_whose_it_is(world: World, kind: str) -> None:
    """Of several clients, of one that is suspended and of none that is meant nothing is told to a forger."""
    first, second = await world.entra_of_ours(), await world.entra_of_ours()
    forged = world.microsoft.mint(kind, key_of="fabrikam")
    ambiguous = await world.refused(world.microsoft.mint(kind))
    refused = await world.refused(forged)
    assert (refused.status, refused.code) == (ambiguous.status, ambiguous.code)
    await act_on(world.app, f"{first.client}/suspend")
    await act_on(world.app, f"{second.client}/suspend")
    for headers in ({}, naming(first.client), naming("globex")):
        await world.refused(world.microsoft.mint(kind, key_of="fabrikam"), headers=headers)
    await world.refused(world.microsoft.mint(kind), 403, "ACCOUNT_DISABLED", headers=naming(first.client))
    await world.refused(world.microsoft.mint(kind), 403, "FORBIDDEN", headers=naming("globex"))
    for one in (first, second):
        await act_on(world.app, f"{one.client}/restore")


async def test_a_claim_that_stops_while_graph_is_being_asked(world: World) -> None:
    provider = await world.entra()
    token = world.microsoft.mint("graph")
    with world.microsoft.gates.shut("graph"):
        asking = asyncio.create_task(world.app.me(token))
        while world.microsoft.count("graph") < 1 and not asking.done():
            await asyncio.sleep(0.01)
        await directory_released(world.app, provider.client, world.microsoft.named("contoso").id)
    reply = await asking
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_a_link_needs_no_claim_that_counts(world: World) -> None:
    """Whoever shows a token while being signed in says of which client they are."""
    from tests.support.people import member

    provider = await squatter(world)
    me = await member(world.app, provider.client)
    body = {"provider": provider.name, "token": world.microsoft.mint("graph")}
    assert (await world.app.post("/api/client/auth/identities/token", body, token=me.token)).status == 200


async def test_an_own_directory_beside_a_foreign_one(world: World) -> None:
    """A claim on one directory says nothing of another."""
    provider = await world.entra()
    client = await new_client(world.app)
    fabrikam = world.microsoft.named("fabrikam").id
    path, body = f"/api/admin/clients/{client}/directories/{fabrikam}/vouch", {"reason": REASON}
    assert (await world.app.post(path, body, token=await world.app.admin_token())).status == 200
    await world.entra(client, counts=False)
    assert (await world.me(world.microsoft.mint("graph")))["client"]["identifier"] == provider.client
